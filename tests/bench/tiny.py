"""Cells that are run in a second: synthetic spots, a perceptron, a few clients."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedward.bench.grid import Cell, make_cell
from fedward.data.partition import IID
from fedward.engine.plan import LocalTraining
from fedward.simulation.config import Attackers, RunConfig
from fedward.simulation.folder import read_lines
from fedward.simulation.presets import MATRIX
from fedward.simulation.runner import folder_of

TINY = replace(
    MATRIX,
    dataset="synthetic",
    partition=IID(),
    clients=8,
    clients_per_round=6,
    rounds=5,
    training=LocalTraining(batch_size=64, lr=0.05),
    attackers=Attackers(count=2, start=2),
)


def cells(*defenses: str, base: RunConfig = TINY) -> list[Cell]:
    """One cell a defence."""
    return [make_cell(base, {"defense": defense}) for defense in defenses]


def bits(config: RunConfig, runs: Path) -> tuple[Any, ...]:
    """Everything that a run leaves, but for times, dates and who started it."""
    folder = folder_of(config, runs)
    result = json.loads(folder.result.read_text())
    return (
        result["key"],
        result["params_sha256"],
        result["metrics"],
        without_seconds(read_lines(folder.rounds)),
        read_lines(folder.verdicts),
    )


def without_seconds(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of rounds.jsonl, but for the time they took."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
