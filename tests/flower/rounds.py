"""One round of a defended strategy, with honest clients to put others beside."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg, Strategy
from numpy.typing import NDArray

from fedward.defenses import Fedward
from fedward.flower import Defended
from fedward.flower.journal import Decided
from tests.flower.grid import (
    Client,
    Nodes,
    arrays_of,
    draw,
    moving,
    record,
)

SHAPES = {"a.weight": (6, 4), "a.bias": (4,), "b.weight": (4, 3)}
FEDWARD = Fedward()
START = draw(1, SHAPES)
BUFFERS: dict[str, NDArray[Any]] = {
    "n.running_mean": np.array([1.0, 2.0], np.float32),
    "n.num_batches_tracked": np.array(5, np.int64),
}
TOP = (1 << 64) - 3
"""A node id that a signed tensor cannot hold as it is."""


def honest(seed: int) -> Client:
    """All go one way, each with a little of its own."""
    common, own = draw(0, SHAPES), draw(100 + seed, SHAPES, 0.1)
    return moving({name: common[name] + own[name] for name in SHAPES})


def wrapped(**options: Any) -> FedAvg:
    return FedAvg(fraction_evaluate=0.0, **options)


def one_round(
    clients: Mapping[int, Client],
    defense: Any = FEDWARD,
    start: Mapping[str, Any] = START,
    order: Callable[[list[Message]], list[Message]] = list,
    **options: Any,
) -> tuple[Defended, ArrayRecord | None, MetricRecord]:
    strategy = Defended(wrapped(), defense=defense, **options)
    grid = Nodes(clients, order)
    asked = strategy.configure_train(1, record(start), ConfigRecord(), grid)
    arrays, metrics = strategy.aggregate_train(1, grid.send_and_receive(asked))
    assert metrics is not None
    return strategy, arrays, metrics


def reasons(strategy: Defended) -> dict[int, str | None]:
    """Reason of every rejected node, None for the accepted."""
    assert strategy.decided is not None
    return {
        node: None if verdict.accepted else verdict.reason
        for node, verdict in strategy.decided.verdicts.items()
    }


def same(first: ArrayRecord, second: ArrayRecord) -> bool:
    one, two = arrays_of(first), arrays_of(second)
    return list(one) == list(two) and all(np.array_equal(one[n], two[n]) for n in one)


HONEST = {node: honest(node) for node in (11, 7, TOP, 2, 30)}


def under(clients: Mapping[int, Client]) -> dict[int, Client]:
    """Honest clients under these ids, with the buffers as they were sent."""
    return {node: honest(node) for node in clients}


class Around(Strategy):
    """A strategy of the user's own, made of another one."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self.seen: Any = None
        self.again: Strategy | None = None
        self.model: ArrayRecord | None = None

    def summary(self) -> None:
        self.strategy.summary()

    def configure_train(self, *args: Any) -> Iterable[Message]:
        return self.strategy.configure_train(*args)

    def aggregate_train(self, *args: Any) -> tuple[ArrayRecord | None, MetricRecord | None]:
        return self.strategy.aggregate_train(*args)

    def configure_evaluate(self, *args: Any) -> Iterable[Message]:
        return self.strategy.configure_evaluate(*args)

    def aggregate_evaluate(self, *args: Any) -> MetricRecord | None:
        return self.strategy.aggregate_evaluate(*args)


class Recording(Defended):
    """Keeps every round's verdicts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.all: list[Decided] = []

    def aggregate_train(self, *args: Any) -> Any:
        answered = super().aggregate_train(*args)
        assert self.decided is not None
        self.all.append(self.decided)
        return answered
