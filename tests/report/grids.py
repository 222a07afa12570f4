"""Grids and results as the bench leaves them, with numbers by formula."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedward.bench.grid import Cell, Grid, make_grid
from fedward.bench.grids import PAPER
from fedward.report.grid_cells import Entry, entries
from fedward.report.grid_sheets import Matrix, Sheet, lay_out
from fedward.simulation.config import RunConfig, label, to_table
from fedward.simulation.presets import PRESETS
from tests.report.folders import Case, write_run

METHODS = ("fedavg", "median", "flame", "fedward")
Result = dict[str, Any]


def paper_grid(
    datasets: Sequence[str] = ("mnist",),
    nirs: Sequence[str] = ("iid", "25"),
    pdrs: Sequence[str] = ("31.25", "46.875"),
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (0,),
) -> Grid:
    """A part of the paper's grid, with clean twins."""
    axes = {"nir": nirs, "pdr": pdrs, "defense": methods, "seed": seeds}
    return make_grid("part", "A part", {name: PAPER[name] for name in datasets}, axes)


def attack_grid(
    attacks: Sequence[str] = ("dba", "norm-matching", "inner-product"),
    methods: Sequence[str] = METHODS,
    seeds: Sequence[int] = (0,),
) -> Grid:
    """Several attacks on one federation."""
    axes = {"attack": attacks, "defense": methods, "seed": seeds}
    return make_grid("attacks", "Attacks", {"x": PRESETS["demo"].config}, axes)


def result(config: RunConfig, **metrics: float | None) -> Result:
    """What a finished run of these settings leaves; every metric may be given."""
    return {
        "key": config.key,
        "name": label(config),
        "config": to_table(config),
        "rounds": config.rounds,
        "metrics": {
            "ma_final": 0.9, "ma_last10": 0.9, "asr_final": 0.02, "aasr": 0.02,
            "aasr_from_10": 0.02, "aasr_parts": {"part 0": 0.5},
            "aer": 0.1 if config.defense.selects else None,
            "brr": 0.2 if config.defense.selects else None,
            "brr_attacked": None, "brr_unattacked": None, "brr_rare": None, "held": 0.0,
            **metrics,
        },
        "params_sha256": config.key * 5 + "0000",
        "seconds": 2.5 * config.rounds,
        "finished": "2026-01-05T10:20:30Z",
        "provenance": {
            "fedward": "0.1.0", "torch": "2.13.0", "python": "3.11.7",
            "device": "cpu (a processor)", "threads": 2, "engine": "parallel",
            "commit": "0123abc", "command": "fedward bench part",
        },
    }  # fmt: skip


def results(
    cells: Iterable[Cell], metrics: Mapping[str, Mapping[str, float | None]]
) -> dict[str, Result]:
    """A result for every cell whose method is named, with that method's metrics."""
    found = {}
    for cell in cells:
        method = "clean" if cell.at["attack"] == "none" else cell.at["defense"]
        if method in metrics:
            found[cell.key] = result(cell.config, **metrics[method])
    return found


def only_sheet(grid: Grid, found: Mapping[str, Result]) -> Sheet:
    (page,) = lay_out(entries(grid, found))
    assert isinstance(page, Sheet)
    return page


def only_matrix(grid: Grid, found: Mapping[str, Result]) -> Matrix:
    (page,) = lay_out(entries(grid, found))
    assert isinstance(page, Matrix)
    return page


def entry_of(found: Iterable[Entry], **at: str) -> Entry:
    """The one entry at these places."""
    (entry,) = [e for e in found if all(e.at.get(a) == v for a, v in at.items())]
    return entry


def write_folder(folder: Path, cell: Cell, found: Result | None) -> Path:
    """A run folder of the cell, finished if it has a result."""
    rounds = cell.config.rounds
    case = Case(
        name=cell.at["defense"],
        defense=cell.at["defense"],
        quiet=cell.at["attack"] == "none",
        planned=rounds,
        done=None if found else 3,
    )
    write_run(folder, case)
    config = {"key": cell.key, **to_table(cell.config)}
    (folder / "config.json").write_text(json.dumps(config))
    if found:
        (folder / "result.json").write_text(json.dumps(found))
    return folder
