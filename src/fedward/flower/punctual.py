"""A round that ends when it is due, whatever a client has begun and not finished.

A SuperNode announces a reply first and brings its arrays after. Flower's grids (1.21 to
1.42) fetch announced replies one after the other and wait for their arrays without a look
at the round's timeout: for three minutes after the sender's last sign of life, and for up
to two hours if it keeps sending a little. A reply that cannot be put together ends the run.
So a client that dies while it sends, or means harm, would hold up or stop everybody.
"""

import time
from collections.abc import Iterable
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
"""Seconds between two questions for the same reply, as in Flower."""

QUESTIONS = 10.0
"""Most questions a second for all replies together; each one writes to the database."""

FAILURES = 3
"""So many failed questions in a row for the same reply, and it is given up."""

log = getLogger("fedward.flower")


class Punctual(SortedNodes):
    """A grid that fetches every reply by itself, and none for longer than the timeout.

    One that is not remote is left to do it its own way.
    """

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | int | None = None
    ) -> Iterable[Message]:
        """Send the messages; the replies that are complete when the time is up.

        A question that fails is asked again, and a reply that cannot be fetched is left
        out, like one that does not come.

        Raises:
            Exception: the grid's own, if it is the only answer.
        """
        if timeout is None or type(self._grid).__name__ not in REMOTE:
            return self._grid.send_and_receive(messages, timeout=timeout)
        # Flower gives None for a message that it could not push.
        asked = [number for number in self._grid.push_messages(messages) if number]
        fetching = _Fetching(self._grid, max(PAUSE, len(asked) / QUESTIONS))
        end = time.monotonic() + timeout
        try:
            return fetching.until(end, asked)
        finally:
            fetching.over.set()


class _Fetching:
    """Threads that each ask for one reply; those that wait for arrays are left behind."""

    def __init__(self, grid: Grid, pause: float) -> None:
        self.over = Event()
        self._grid = grid
        self._pause = pause
        self._came: Queue[list[Message] | Exception] = Queue()

    def until(self, end: float, asked: list[str]) -> list[Message]:
        """The replies to these messages before a moment of the monotonic clock."""
        for place, number in enumerate(asked):
            # Questions are spread over the pause, lest all come at the same moment.
            wait = self._pause * place / len(asked)
            # Python waits at its end for all threads but daemons.
            Thread(target=self._fetch, args=(number, wait), daemon=True).start()
        replies: list[Message] = []
        failure: Exception | None = None
        for _ in asked:
            try:
                came = self._came.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            if isinstance(came, Exception):
                failure = came
            else:
                replies += came
        if failure is not None and not replies:
            raise failure
        return replies

    def _fetch(self, number: str, wait: float) -> None:
        """Ask for one reply until it is here, or given up, or the round is over."""
        failures = 0
        while not self.over.wait(wait):
            wait = self._pause
            try:
                replies = list(self._grid.pull_messages([number]))
            # Whatever a client's bytes or a busy server make Flower raise.
            except Exception as failure:
                failures += 1
                log.warning("a reply could not be fetched: %s", printable(repr(failure)))
                if failures == FAILURES:
                    self._came.put(failure)
                    return
                continue
            failures = 0
            if replies:
                self._came.put(replies)
                return
