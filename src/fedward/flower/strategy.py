"""Any of our defences inside any Flower strategy, as one more strategy round it.

Flower's own robust strategies are aggregation and detection in one class each. Here the
wrapped strategy keeps what it is good at (sampling nodes, server momentum, evaluation) and
sees a single reply a round: the model after the defended update.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path

import numpy as np
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Message,
    Metadata,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result, Strategy

from fedward.buffer import GIB, UpdateBuffer
from fedward.defenses import Fedward
from fedward.flower.arrays import BUFFERS, GlobalModel, combine, to_record
from fedward.flower.figures import figures, shifted, tell
from fedward.flower.journal import Decided, Journal
from fedward.flower.punctual import Punctual
from fedward.flower.replies import (
    Asked,
    Limits,
    Received,
    mean_metrics,
    receive,
    usable_evaluations,
)
from fedward.flower.resume import Progress
from fedward.flower.sampling import SortedNodes, seeded
from fedward.flower.verdicts import accepted, decide, sparsity, withheld
from fedward.flower.wrapped import check, remembered, setting, title
from fedward.protocol import Aggregation, Defense
from fedward.seeds import derive

log = getLogger("fedward.flower")

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]


@dataclass(frozen=True)
class Sent:
    """What a round has begun with; its messages have no number before they are pushed."""

    model: GlobalModel
    messages: tuple[Message, ...]
    began: float


class Defended(Strategy):
    """A strategy whose training replies pass a defence before they are applied.

    ``Defended(FedAvg(), defense=Fedward(), folder="runs/hospital").start(grid, arrays)``

    Args:
        strategy: configures rounds, applies the defended update and evaluates; Flower's
            FedAvg by default.
        defense: decides on the updates.
        folder: where verdicts, figures and the state after every round are kept; a server
            that is started again with the same folder goes on. None keeps nothing.
        seed: of everything random on the server: the defence's noise and which nodes the
            wrapped strategy samples.
        buffers: names of arrays that are not parameters, with ``*`` for anything.
        limits: beyond these a reply is refused before the defence sees it.
        resident: bytes of a round's updates that may be in memory; if they may need more,
            they are kept in a temporary file in the folder, or else in the system's.
        attackers: nodes known to attack, in a drill. Only written down, never used.

    Raises:
        TypeError: if strategy or defence is not one.
        ValueError: if the strategy, or one inside it, needs the clients' own replies.
    """

    def __init__(
        self,
        strategy: Strategy | None = None,
        *,
        defense: Defense = Fedward(),  # noqa: B008, frozen
        folder: str | Path | None = None,
        seed: int = 0,
        buffers: tuple[str, ...] = BUFFERS,
        limits: Limits = Limits(),  # noqa: B008, frozen
        resident: int = 4 * GIB,
        attackers: frozenset[int] | None = None,
    ) -> None:
        strategy = FedAvg() if strategy is None else strategy
        if not isinstance(strategy, Strategy):
            raise TypeError(f"Defended needs a Flower strategy, got {strategy!r}")
        if isinstance(defense, type) or not isinstance(defense, Defense):
            raise TypeError(f"Defended needs a defense such as Fedward(), got {defense!r}")
        check(strategy)
        self.strategy = strategy
        self.defense = defense
        self.seed = seed
        self.buffers = buffers
        self.limits = limits
        self.resident = resident
        self.journal = None if folder is None else Journal.at(folder, attackers)
        self.progress = Progress(strategy, defense, seed)
        self._weight_key = setting(strategy, "weighted_by_key", "num-examples")
        self._arrays_key = setting(strategy, "arrayrecord_key", "arrays")
        self._sent: Sent | None = None
        self._evaluating: tuple[Metadata, ...] = ()
        self.decided: Decided | None = None

    def summary(self) -> None:
        """Log the defence, then what the wrapped strategy has to say."""
        log.info("%s decides whose updates are used", self.defense)
        self.strategy.summary()

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600.0,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Evaluate | None = None,
    ) -> Result:
        """Run the rounds that are left; see Flower's `Strategy.start`.

        With a folder, what an earlier process finished is not done again: its model, round
        number, defence memory and strategy state are taken up, and ``initial_arrays`` are
        not used. The result holds the metrics of this process's rounds.

        Raises:
            ValueError: if the folder belongs to a deployment with other settings.
            RunLocked: if another process writes the folder.
        """
        journal = self.journal
        with nullcontext() if journal is None else journal.locked():
            arrays = self.progress.take_up(journal, initial_arrays, num_rounds)
            done = self.progress.before
            if done:
                log.warning("going on after round %d, which was finished before", done)
            result = super().start(
                grid=Punctual(grid),
                initial_arrays=arrays,
                num_rounds=max(0, num_rounds - done),
                timeout=timeout,
                train_config=train_config,
                evaluate_config=evaluate_config,
                evaluate_fn=self._finishing(evaluate_fn),
            )
            if not result.arrays:
                result.arrays = arrays
            if journal is not None:
                journal.finish(result.arrays)
        return shifted(result, done)

    def _finishing(self, evaluate: Evaluate | None) -> Evaluate:
        """The server's evaluation, and the end of the round that it measures."""

        def finish(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
            """Flower calls this last in every round, and once before the first."""
            began = time.perf_counter()
            number = server_round + self.progress.before
            measured = evaluate(number, arrays) if evaluate else None
            if server_round:
                seconds = time.perf_counter() - began
                self.progress.finish(self.journal, arrays, self.decided, measured, seconds)
            return measured

        return finish

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the nodes that the wrapped strategy samples, and remember what was sent."""
        number = server_round + self.progress.before
        with seeded(derive(self.seed, "round", number - 1, "selection")):
            asked = self.strategy.configure_train(number, arrays, config, SortedNodes(grid))
            messages = list(asked)
        model = GlobalModel.of(arrays, self.buffers)
        self._sent = Sent(model, tuple(messages), time.perf_counter())
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Judge the replies; None in place of arrays when the round is held.

        Raises:
            RuntimeError: if `configure_train` was not called before.
        """
        if self._sent is None:
            raise RuntimeError("aggregate_train needs configure_train to be called first")
        number, sent, self._sent = server_round + self.progress.before, self._sent, None
        asked = Asked.of(message.metadata for message in sent.messages)
        with self._room(sent.model, len(asked.nodes)) as room:
            received = receive(
                replies, asked, sent.model, room, self._weight_key, self.limits
            )
            arrived = time.perf_counter()
            memory, params = self.progress.memory, sent.model.params
            decided = decide(self.defense, room, params, number - 1, self.seed, memory)
        arrays, metrics = None, MetricRecord()
        if decided.held is None:
            arrays, metrics, reason = self._apply(number, sent, received, decided)
            if reason is not None:
                decided = withheld(decided, reason, memory)
        self.progress.memory = dict(decided.memory)
        verdicts = dict(zip(received.nodes, decided.verdicts, strict=True))
        seconds = {"train": arrived - sent.began, "defend": time.perf_counter() - arrived}
        self.decided = Decided(
            index=number - 1,
            verdicts=dict(sorted((verdicts | dict(received.refused)).items())),
            held=decided.held,
            facts=decided.facts,
            seconds={phase: round(value, 3) for phase, value in seconds.items()},
        )
        tell(self.decided)
        return arrays, MetricRecord({**metrics, **figures(self.decided)})

    def _room(self, model: GlobalModel, clients: int) -> UpdateBuffer:
        """For the updates of a round, on the folder's disk if they are too many."""
        size = clients * model.params.nbytes
        return UpdateBuffer(
            model.layout,
            max(1, clients),
            dtype=model.params.dtype,
            sparsity=sparsity(self.defense),
            resident=self.resident,
            limit=max(size, 1),
            folder=None if self.journal is None else self.journal.folder.path,
        )

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy does."""
        number = server_round + self.progress.before
        with seeded(derive(self.seed, "round", number - 1, "evaluation")):
            asked = self.strategy.configure_evaluate(
                number, arrays, config, SortedNodes(grid)
            )
            messages = list(asked)
        self._evaluating = tuple(message.metadata for message in messages)
        return messages

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """As the wrapped strategy does, on the replies that cannot stop or steer it."""
        asked, self._evaluating = Asked.of(self._evaluating), ()
        usable, refused = usable_evaluations(replies, asked, self._weight_key, self.limits)
        for node, reason in refused.items():
            log.warning("evaluation of node %d is not used: %s", node, reason)
        number = server_round + self.progress.before
        return self.strategy.aggregate_evaluate(number, usable)

    def _apply(
        self, number: int, sent: Sent, received: Received, decided: Aggregation
    ) -> tuple[ArrayRecord | None, MetricRecord, str | None]:
        """The model that the wrapped strategy makes of the defended one, and its metrics.

        If the model cannot be used, the reason is given in its place, and the strategy is
        as it was. Buffers are not its business: momentum on a variance is nonsense.
        """
        model = sent.model
        buffers = combine(accepted(received.buffers, decided), model.buffers)
        metrics = mean_metrics(accepted(received.metrics, decided))
        content = RecordDict(
            {
                self._arrays_key: model.moved(decided.update, buffers),
                "metrics": MetricRecord({**metrics, self._weight_key: 1}),
            }
        )
        put_back = remembered(self.strategy)
        reply = Message(content, reply_to=sent.messages[0])
        # Its overflow is no news: the model is looked at, whatever made it infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            arrays, told = self.strategy.aggregate_train(number, [reply])
        told = told or MetricRecord()
        if arrays is None:
            put_back()
            return None, told, f"{title(self.strategy)} gave no model"
        values = {name: arrays[name].numpy() for name in model.names} | buffers
        new = to_record(values, model.names, model.dtypes)
        if not all(np.isfinite(new[name].numpy()).all() for name in model.layout.names):
            put_back()
            return None, told, "the new model would hold NaN or Inf"
        return new, told, None
