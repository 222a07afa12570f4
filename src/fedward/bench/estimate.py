"""How long a grid will take, learnt from the cells that are done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from fedward.bench.grid import Cell
from fedward.simulation.config import RunConfig, from_table, is_clean


@dataclass(frozen=True)
class Estimate:
    """Seconds of training that are left.

    Attributes:
        seconds: of the cells that something is known about.
        unknown: how many cells nothing is known about.
    """

    seconds: float
    unknown: int


Kind = tuple[object, ...]


def kinds(config: RunConfig) -> tuple[Kind, Kind]:
    """What the time of a round depends on, closely and roughly."""
    roughly = (config.dataset, config.model, config.clients_per_round)
    return (*roughly, config.training, config.rounds, is_clean(config)), roughly


def pace(results: Iterable[Mapping[str, Any]]) -> dict[Kind, float]:
    """Seconds a round by kind, from finished results."""
    seen: dict[Kind, list[float]] = {}
    for result in results:
        for kind in kinds(from_table(result["config"])):
            seen.setdefault(kind, []).append(result["seconds"] / max(result["rounds"], 1))
    return {kind: mean(values) for kind, values in seen.items()}


def estimate(
    cells: Sequence[Cell], done: Mapping[str, int], paces: Mapping[Kind, float]
) -> Estimate:
    """The time left for cells.

    Args:
        done: rounds that are finished, by key; none for a cell that is missing.
        paces: from `pace`.
    """
    seconds, unknown = 0.0, 0
    for cell in cells:
        left = cell.config.rounds - done.get(cell.key, 0)
        known = [paces[kind] for kind in kinds(cell.config) if kind in paces]
        seconds += left * known[0] if known else 0.0
        unknown += bool(left and not known)
    return Estimate(seconds, unknown)
