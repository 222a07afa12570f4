"""A round that ends when it is due, whatever a client has begun and not finished.

A SuperNode announces a reply first and brings its arrays after. Flower's grids (1.21 to
1.42) fetch announced replies one after the other and wait for their arrays without a look
at the round's timeout: in 1.41 for three minutes after the sender's last sign of life, and
for up to two hours if it keeps sending a little. A reply that cannot be put together ends
the run. So a client that dies while it sends, or means harm, would hold up or stop
everybody.
"""

import time
from collections.abc import Iterable, Iterator
from logging import getLogger
from queue import Empty, Queue
from threading import Event, Thread

from flwr.app import Message
from flwr.serverapp import Grid

from fedward.flower.replies import printable
from fedward.flower.sampling import SortedNodes

REMOTE = frozenset({"GrpcGrid", "HttpGrid"})
"""Flower's grids that fetch replies from a SuperLink. Names, because they have moved."""

PAUSE = 3.0
"""Fewest seconds between two questions for the same reply, as in Flower."""

PATIENCE = 0.1
"""So much of a round's time may pass between two; a slow round is not asked for often."""

QUESTIONS = 10.0
"""Most questions a second for all replies together; each one writes to the database."""

FAILURES = 3
"""So many failed questions in a row, and the SuperLink does not give a reply out."""

log = getLogger("fedward.flower")


class Punctual(SortedNodes):
    """A grid that fetches every reply by itself, and none for longer than the timeout.

    One that is not remote is left to do it its own way. Either way replies are given out
    one at a time and not kept, so that whoever lets go of one before taking the next does
    not hold them all.
    """

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | int | None = None
    ) -> Iterator[Message]:
        """Send the messages; the replies that are complete when the time is up.

        A question that fails is asked again. A reply that cannot be put together is left
        out, like one that does not come. The messages are sent at once, and the time
        counts from then.

        Raises:
            Exception: the grid's own, if it is the only answer to all messages; when it
                would be the first reply's turn.
        """
        if timeout is None or type(self._grid).__name__ not in REMOTE:
            # A list of our own: what is taken out of it, nobody holds any more.
            return taken(list(self._grid.send_and_receive(messages, timeout=timeout)))
        # Flower gives None for a message that it could not push.
        asked = [number for number in self._grid.push_messages(messages) if number]
        return _Fetching(self._grid, len(asked), time.monotonic() + timeout).replies(asked)


def taken(replies: list[Message]) -> Iterator[Message]:
    """The replies of a list, which is empty afterwards."""
    replies.reverse()
    while replies:
        yield replies.pop()


class _Fetching:
    """Threads that each ask for one reply; those that wait for arrays are left behind.

    Args:
        messages: how many replies there may be.
        end: when the round is due, by the monotonic clock.
    """

    def __init__(self, grid: Grid, messages: int, end: float) -> None:
        self._over = Event()
        self._grid = grid
        self._pause = max(PAUSE, messages / QUESTIONS)
        self._began, self._end = time.monotonic(), end
        self._told: Queue[tuple[str, list[Message] | Exception]] = Queue()

    def replies(self, asked: list[str]) -> Iterator[Message]:
        """As they come, until all have, the time is up, or all is lost."""
        for place, number in enumerate(asked):
            # Questions are spread over the pause, lest all come at the same moment.
            wait = self._pause * place / len(asked)
            # Python waits at its end for all threads but daemons.
            Thread(target=self._fetch, args=(number, wait), daemon=True).start()
        try:
            yield from self._as_they_come(asked)
        finally:
            self._over.set()

    def _as_they_come(self, asked: list[str]) -> Iterator[Message]:
        came = False
        waiting, failed = set(asked), dict[str, Exception]()
        while waiting - set(failed):
            try:
                left = max(0.0, self._end - time.monotonic())
                number, told = self._told.get(timeout=left)
            except Empty:
                return
            if isinstance(told, Exception):
                failed[number] = told
                continue
            failed.pop(number, None)
            if told:
                waiting.remove(number)
                came = True
                yield from taken(told)
        if failed and not came:
            raise next(iter(failed.values()))

    def _fetch(self, number: str, wait: float) -> None:
        """Ask for one reply until it is here, or the round is over."""
        failures = 0
        while not self._over.wait(wait):
            try:
                told: list[Message] | Exception
                told = list(self._grid.pull_messages([number]))
                failures = 0
            # Whatever a client's bytes or a busy server make Flower raise.
            except Exception as failure:
                told, failures = failure, failures + 1
                log.warning("a reply was not given out: %s", printable(repr(failure)))
            if failures in (0, FAILURES):
                self._told.put((number, told))
            if isinstance(told, list) and told:
                return
            wait = self._next_wait()

    def _next_wait(self) -> float:
        """Seconds until the next question; the last one is just before the end."""
        now = time.monotonic()
        slow = PATIENCE * (now - self._began)
        return max(self._pause, min(slow, self._end - now - self._pause))
