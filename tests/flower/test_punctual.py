"""Grids that fetch as Flower's do, with replies that are late, half sent or broken."""

import importlib
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Lock, Thread
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from hypothesis import given, strategies as st

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from fedward.flower.punctual import FAILURES, REMOTE, Punctual, _Fetching
from tests.flower.grid import Client, Nodes, record
from tests.flower.rounds import HONEST, START, reasons

Pull = Callable[[Message], list[Message]]
PAUSE = 0.02


class HttpGrid(Nodes):
    """Fetches one reply after the other, as Flower's of this name.

    Args:
        pulls: by node, what fetching its reply does in place of giving it out at once.
    """

    def __init__(self, clients: dict[int, Client], pulls: dict[int, Pull]) -> None:
        super().__init__(clients)
        self.pulls = pulls
        self.sent: dict[str, Message] = {}
        self.questions: list[list[str]] = []
        self.lock = Lock()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[Any]:
        numbers = []
        for message in messages:
            numbers.append(f"message {len(self.sent)}")
            message.metadata.__dict__["_message_id"] = numbers[-1]
            self.sent[numbers[-1]] = message
        return numbers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        numbers = list(message_ids)
        with self.lock:
            self.questions.append(numbers)
        return [reply for number in numbers for reply in self.pulled(self.sent[number])]

    def pulled(self, message: Message) -> list[Message]:
        node = message.metadata.dst_node_id
        answer = self.clients[node](message)
        return self.pulls[node](message) if node in self.pulls else answer

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        assert timeout is not None
        open_numbers = [number for number in self.push_messages(messages) if number]
        end, replies = time.monotonic() + timeout, []
        while open_numbers and time.monotonic() < end:
            came = list(self.pull_messages(open_numbers))
            answered = {reply.metadata.reply_to_message_id for reply in came}
            open_numbers = [n for n in open_numbers if n not in answered]
            replies += came
            time.sleep(PAUSE)
        return replies


@pytest.fixture
def released() -> Iterator[Event]:
    """Set at the end, so that no thread is left waiting."""
    event = Event()
    yield event
    event.set()


def half_sent(released: Event) -> Pull:
    """Announced, but its arrays never come."""

    def pull(message: Message) -> list[Message]:
        assert released.wait(300)
        return []

    return pull


def after(questions: int, error: Exception | None, client: Client) -> Pull:
    """A reply that comes when it has been asked for so many times."""
    asked = iter(range(questions))

    def pull(message: Message) -> list[Message]:
        if next(asked, None) is None:
            return client(message)
        if error is not None:
            raise error
        return []

    return pull


def round_with(grid: Grid, timeout: float = 20.0) -> tuple[Defended, float]:
    """One whole round, and the seconds it took."""
    wrapped = FedAvg(fraction_evaluate=0.0, min_evaluate_nodes=0)
    strategy = Defended(wrapped, defense=Mean())
    began = time.monotonic()
    strategy.start(grid, record(START), 1, timeout=timeout)
    return strategy, time.monotonic() - began


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedward.flower.punctual.QUESTIONS", 1e6)
    monkeypatch.setattr("fedward.flower.punctual.PAUSE", PAUSE)


def test_the_stand_in_is_held_up_by_a_half_sent_reply_without_us(released: Event) -> None:
    strategy = Defended(FedAvg(fraction_evaluate=0.0))
    grid = HttpGrid(HONEST, {30: half_sent(released)})
    asked = list(strategy.configure_train(1, record(START), ConfigRecord(), grid))
    ended = Event()

    def wait() -> None:
        grid.send_and_receive(asked, timeout=0.1)
        ended.set()

    Thread(target=wait, daemon=True).start()
    assert not ended.wait(0.5)


def test_a_half_sent_reply_holds_nobody_up(released: Event) -> None:
    strategy, seconds = round_with(HttpGrid(HONEST, {30: half_sent(released)}), 3.0)
    assert seconds < 60
    assert reasons(strategy)[30] == "no reply in time"
    assert [node for node, why in reasons(strategy).items() if why is None] == sorted(
        set(HONEST) - {30}
    )


def test_the_round_ends_with_the_last_reply() -> None:
    late = {node: after(3, None, HONEST[node]) for node in (2, 7)}
    strategy, seconds = round_with(HttpGrid(HONEST, late), timeout=600.0)
    assert seconds < 60
    assert set(reasons(strategy).values()) == {None}


def test_a_reply_is_given_out_while_others_have_not_come(released: Event) -> None:
    grid = HttpGrid(HONEST, {30: half_sent(released)})
    strategy = Defended(FedAvg(fraction_evaluate=0.0))
    asked = strategy.configure_train(1, record(START), ConfigRecord(), grid)
    began = time.monotonic()
    replies = Punctual(grid).send_and_receive(asked, timeout=120.0)
    came = {next(replies).metadata.src_node_id for _ in range(len(HONEST) - 1)}
    assert came == set(HONEST) - {30}
    # Not when the time was up and everything that had come was given out at once.
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("kind", [Nodes, lambda clients: HttpGrid(clients, {})])
def test_replies_that_were_let_go_are_held_by_nobody(kind: Callable[..., Grid]) -> None:
    """So a round needs room for its updates, and not for the replies too."""
    grid = kind(HONEST)
    strategy = Defended(FedAvg(fraction_evaluate=0.0), defense=Mean())
    asked = strategy.configure_train(1, record(START), ConfigRecord(), grid)
    gone: list[weakref.ref[Message]] = []

    def watched(replies: Iterable[Message]) -> Iterator[Message]:
        for reply in replies:
            # The one before is let go of when this one has been taken.
            assert all(before() is None for before in gone[:-1])
            gone.append(weakref.ref(reply))
            yield reply
            del reply

    replies = Punctual(grid).send_and_receive(asked, timeout=60.0)
    strategy.aggregate_train(1, watched(replies))
    assert len(gone) == len(HONEST)
    assert set(reasons(strategy).values()) == {None}


def test_every_question_is_for_one_reply_and_none_is_asked_after_its_answer() -> None:
    grid = HttpGrid(HONEST, {7: after(3, None, HONEST[7])})
    round_with(grid)
    assert all(len(numbers) == 1 for numbers in grid.questions)
    asked = [number for numbers in grid.questions for number in numbers]
    nodes = [grid.sent[number].metadata.dst_node_id for number in asked]
    assert {node: nodes.count(node) for node in HONEST} == {
        node: 4 if node == 7 else 1 for node in HONEST
    }


def test_a_question_that_fails_is_asked_again() -> None:
    busy = after(FAILURES - 1, OSError("database is locked"), HONEST[11])
    strategy, _ = round_with(HttpGrid(HONEST, {11: busy}))
    assert set(reasons(strategy).values()) == {None}


def test_a_reply_that_cannot_be_put_together_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    poison = after(1000, ValueError("no such\nrecord"), HONEST[11])
    grid = HttpGrid(HONEST, {11: poison})
    strategy, seconds = round_with(grid, timeout=600.0)
    assert seconds < 60
    assert reasons(strategy)[11] == "no reply in time"
    assert sum(why is None for why in reasons(strategy).values()) == len(HONEST) - 1
    told = [r.getMessage() for r in caplog.records if "was not given out" in r.message]
    assert len(told) >= FAILURES
    assert all("\n" not in text for text in told)


def test_when_nothing_can_be_fetched_the_error_is_the_answer() -> None:
    gone = {
        node: after(1000, OSError("the SuperLink is gone"), HONEST[node]) for node in HONEST
    }
    with pytest.raises(OSError, match="SuperLink is gone"):
        round_with(HttpGrid(HONEST, gone))


@given(
    timeout=st.floats(10, 7200), messages=st.integers(1, 100), start=st.floats(-1e6, 1e6)
)
def test_when_questions_are_asked(timeout: float, messages: int, start: float) -> None:
    """Seldom in a slow round, often enough in a quick one, and once more before the end."""
    clock = [start]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedward.flower.punctual.PAUSE", 3.0)
        patch.setattr("fedward.flower.punctual.QUESTIONS", 10.0)
        patch.setattr("time.monotonic", lambda: clock[0])
        fetching = _Fetching(HttpGrid(HONEST, {}), messages, start + timeout)
        pause = max(3.0, messages / 10)
        last = elapsed = 0.0
        while elapsed <= timeout:
            last = elapsed
            wait = fetching._next_wait()
            assert pause <= wait <= max(pause, 0.1 * elapsed + 1e-6)
            clock[0] += wait
            elapsed = clock[0] - start
    assert last >= timeout - 2 * pause - 1e-6


def test_a_message_that_could_not_be_sent_is_not_waited_for() -> None:
    class Full(HttpGrid):
        def push_messages(self, messages: Iterable[Message]) -> Iterable[Any]:
            return [None, *list(super().push_messages(messages))[1:]]

    Full.__name__ = "HttpGrid"
    strategy, seconds = round_with(Full(HONEST, {}), timeout=600.0)
    assert seconds < 60
    assert list(reasons(strategy).values()).count("no reply in time") == 1


def test_a_grid_in_memory_is_left_to_itself() -> None:
    grid = Nodes(HONEST)
    strategy, _ = round_with(grid)
    assert sorted(grid.asked[0]) == sorted(HONEST)
    assert set(reasons(strategy).values()) == {None}


def test_the_grids_of_the_installed_release_are_known() -> None:
    """A name that is not known would be waited for without end."""
    for place in ("flwr.superlink.grid", "flwr.server.grid"):
        try:
            found = vars(importlib.import_module(place))
        except ModuleNotFoundError:
            continue
        grids = {n for n, v in found.items() if isinstance(v, type) and issubclass(v, Grid)}
        assert grids - {"Driver", "Grid", "InMemoryGrid"} <= REMOTE
        assert grids & REMOTE
        return
    pytest.fail("no module of grids was found")
