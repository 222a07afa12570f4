"""How far a deployment has come, and how it goes on after a crash."""

import hashlib
import json
from typing import Any

from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp.strategy import Strategy
from torch import Tensor

from fedward.defenses import DEFENSES
from fedward.flower.journal import Decided, Journal
from fedward.flower.state import ServerState
from fedward.flower.wrapped import restore_strategy, strategy_arrays, title
from fedward.protocol import Defense
from fedward.settings import UnknownName, as_table


class Progress:
    """What one process of a server has done, on top of what earlier ones did.

    Attributes:
        before: rounds that earlier processes finished; Flower counts this one's from 1.
        memory: what the defence remembers.
    """

    def __init__(self, strategy: Strategy, defense: Defense, seed: int) -> None:
        self.before = 0
        self.memory: dict[str, Tensor] = {}
        self._strategy = strategy
        self._settings: dict[str, Any] = {
            "defense": defense_table(defense),
            "strategy": title(strategy),
            "seed": seed,
        }

    def take_up(
        self, journal: Journal | None, initial: ArrayRecord, rounds: int
    ) -> ArrayRecord:
        """The model to go on from; everything else is put in its place.

        Raises:
            ValueError: if the folder belongs to a deployment with other settings.
        """
        self.before, self.memory = 0, {}
        if journal is None:
            return initial
        arrays = {name: f"{a.dtype}{list(a.shape)}" for name, a in initial.items()}
        self._settings["arrays"] = arrays
        state = journal.resume(self._settings)
        key = hashlib.sha256(json.dumps(self._settings, sort_keys=True).encode())
        journal.begin(
            {
                "key": key.hexdigest()[:12],
                "name": journal.folder.path.resolve().name,
                "attack": None,
                "rounds": rounds,
                **self._settings,
            }
        )
        if state is None:
            return initial
        self.before, self.memory = state.next_round, dict(state.memory)
        restore_strategy(self._strategy, state.strategy)
        return state.arrays

    def finish(
        self,
        journal: Journal | None,
        arrays: ArrayRecord,
        decided: Decided | None,
        measured: MetricRecord | None,
        seconds: float,
    ) -> None:
        """Write a round and the state after it; from here on it will not be done again.

        Args:
            seconds: that the server's evaluation took.
        """
        if journal is None or decided is None:
            return
        lines = journal.write(decided, measured, seconds)
        journal.save(
            ServerState(
                next_round=decided.index + 1,
                arrays=arrays,
                memory=self.memory,
                strategy=strategy_arrays(self._strategy),
                lines=lines,
                settings=self._settings,
            )
        )


def defense_table(defense: Defense) -> dict[str, Any]:
    """Name and settings of a defence; one that we do not know by its text."""
    try:
        table = as_table("defense", defense, DEFENSES)
    except UnknownName:
        table = {"name": type(defense).__name__, "settings": repr(defense)}
    return json.loads(json.dumps(table))  # type: ignore[no-any-return]
