"""A deployment's run folder: the same files and lines as a simulation's.

What a simulation knows and a server does not is null: who is malicious, and so how many
attackers were admitted. Only in a drill, where the operator planted them, is it known.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from logging import getLogger
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, MetricRecord

from fedward.flower.state import ServerState, load_state, save_state
from fedward.protocol import Verdict
from fedward.simulation.folder import (
    RunFolder,
    as_json,
    read_lines,
    replace_file,
)
from fedward.simulation.provenance import provenance
from fedward.simulation.records import ClientRecord, RoundRecord

ACCURACY = ("ma", "accuracy")
"""Metrics of the server's evaluation that are the main accuracy, the first found."""

SUCCESS = "asr "
"""Metrics of the server's evaluation whose names begin so are success rates of a probe."""


log = getLogger("fedward.flower")


@dataclass(frozen=True)
class Decided:
    """A round whose clients have been judged.

    Attributes:
        index: number of the round, from 0.
        verdicts: by node, in ascending order.
        held: why the model was kept, or None.
        facts: numbers of the defence.
        seconds: by phase: train (until the last reply is in its row), defend.
    """

    index: int
    verdicts: Mapping[int, Verdict]
    held: str | None
    facts: Mapping[str, float]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Journal:
    """Writes one deployment's folder.

    Attributes:
        attackers: nodes known to attack, in a drill; None where nobody knows.
    """

    folder: RunFolder
    attackers: frozenset[int] | None = None

    @classmethod
    def at(cls, path: str | Path, attackers: frozenset[int] | None) -> "Journal":
        """In a folder that is made when it is first locked."""
        return cls(RunFolder(Path(path)), attackers)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the folder for this process."""
        return self.folder.locked()

    def resume(self, settings: Mapping[str, Any]) -> ServerState | None:
        """The state after the last finished round; None in a new folder.

        Lines of rounds that were not finished are cut off.

        Raises:
            ValueError: if the folder belongs to a deployment with other settings, or has
                lost lines.
        """
        state = None
        if self.folder.checkpoint.exists():
            state = load_state(self.folder.checkpoint)
            for name, value in state.settings.items():
                if settings[name] != value:
                    raise ValueError(
                        f"{self.folder.path} holds a deployment whose {name} is {value}, "
                        f"got {settings[name]}; use another folder"
                    )
            self.folder.cut(state.lines)
        else:
            for path in (self.folder.rounds, self.folder.verdicts):
                path.unlink(missing_ok=True)
        self.folder.result.unlink(missing_ok=True)
        return state

    def begin(self, config: Mapping[str, Any]) -> None:
        """Write the settings for those who read the folder."""
        replace_file(self.folder.config, as_json(config))

    def write(
        self, decided: Decided, measured: MetricRecord | None, evaluate: float
    ) -> dict[str, int]:
        """Append a finished round and its verdicts; how long the files are now.

        JSON has no NaN or Inf: an accuracy or a verdict's number that is neither is null,
        and of the success rates and facts, which may be there or not, it is left out.

        Args:
            measured: the server's own evaluation, if there is one.
            evaluate: seconds that the server's evaluation took.
        """
        numbers = {
            name: value
            for name, value in (measured or {}).items()
            if isinstance(value, int | float)
        }
        warn(decided.index + 1, {**decided.facts, **numbers})
        known = self.attackers
        attacked = None if known is None else not known.isdisjoint(decided.verdicts)
        record = RoundRecord(
            round=decided.index,
            attacked=attacked,
            defended=True,
            ma=next((finite(numbers[name]) for name in ACCURACY if name in numbers), None),
            asr={
                name.removeprefix(SUCCESS): float(value)
                for name, value in numbers.items()
                if name.startswith(SUCCESS) and math.isfinite(value)
            },
            held=decided.held,
            facts={k: v for k, v in decided.facts.items() if math.isfinite(v)},
            seconds={**decided.seconds, "evaluate": round(evaluate, 3)},
            clients=tuple(
                ClientRecord(
                    round=decided.index,
                    client=node,
                    malicious=None if known is None else node in known,
                    rarity=None,
                    verdict=writable(verdict),
                )
                for node, verdict in decided.verdicts.items()
            ),
        )
        return self.folder.append_record(record)

    def save(self, state: ServerState) -> None:
        """Replace the checkpoint: from here on the round is finished."""
        save_state(self.folder.checkpoint, state)

    def finish(self, arrays: ArrayRecord) -> None:
        """Write the figures of all rounds; what only a simulation knows is left out."""
        config = json.loads(self.folder.config.read_text())
        rounds = read_lines(self.folder.rounds)
        accuracies = [line["ma"] for line in rounds if line["ma"] is not None]
        held = sum(line["held"] is not None for line in rounds)
        digest = hashlib.sha256()
        for array in arrays.values():
            digest.update(array.numpy().tobytes())
        result = {
            "key": config["key"],
            "name": config["name"],
            "config": config,
            "rounds": len(rounds),
            "metrics": {
                "ma_final": accuracies[-1] if accuracies else None,
                "held": held / len(rounds) if rounds else None,
            },
            "params_sha256": digest.hexdigest(),
            "seconds": sum(sum(line["seconds"].values()) for line in rounds),
            "provenance": {**provenance("cpu", "flower"), "flwr": version("flwr")},
        }
        self.folder.finish(result)


def finite(value: float | None) -> float | None:
    """A number that JSON can hold, or None."""
    return None if value is None or not math.isfinite(value) else float(value)


def writable(verdict: Verdict) -> Verdict:
    """A verdict without NaN or Inf."""
    numbers: dict[str, Any] = {
        field.name: finite(value)
        for field in fields(verdict)
        if isinstance(value := getattr(verdict, field.name), float)
    }
    return replace(verdict, **numbers)


def warn(number: int, values: Mapping[str, float]) -> None:
    """Say once a round what its line lacks, by Flower's number of the round."""
    lost = [f"{k} is {v}" for k, v in values.items() if not math.isfinite(v)]
    if lost:
        log.warning("round %d: not written: %s", number, ", ".join(lost))
