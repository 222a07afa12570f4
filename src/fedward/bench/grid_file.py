"""A grid of the user's own, as a TOML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fedward.bench.grid import Grid, make_grid
from fedward.bench.grids import PAPER
from fedward.data.sources import DATASETS
from fedward.settings import UnknownName, lookup
from fedward.simulation.assign import lay_over, read_toml
from fedward.simulation.config import RunConfig, from_table, to_table
from fedward.simulation.presets import PRESETS

ENTRIES: Mapping[str, tuple[type[Any], str]] = {
    "title": (str, "a text"),
    "preset": (str, "the name of a preset"),
    "base": (Mapping, "a table of settings"),
    "axes": (Mapping, "a table with lists of values"),
    "clean": (bool, "true or false"),
}
"""What a file may hold, and of which kind."""


def read_grid(file: Path, seeds: Sequence[int] = (), extra: Sequence[str] = ()) -> Grid:
    """The grid that a file declares; its name is the file's.

    Args:
        seeds: in place of the file's; the grid is run for one after another.
        extra: defences beside the file's.

    Raises:
        ValueError: naming what the file lacks, or has and should not have.
    """
    table = read_toml(file)
    for entry in table:
        if entry not in ENTRIES:
            raise UnknownName(f"entry of the grid {file}:", entry, ENTRIES)
        kind, needed = ENTRIES[entry]
        if not isinstance(table[entry], kind):
            raise ValueError(
                f"{entry} of the grid {file} needs to be {needed}, got {table[entry]!r}"
            )
    axes = dict(_axes(file, table))
    datasets = axes.pop("dataset", [None])
    bases = [_base(table, dataset) for dataset in datasets]
    if extra:
        axes["defense"] = list(dict.fromkeys([*axes.get("defense", ["fedward"]), *extra]))
    if seeds:
        axes = {"seed": list(seeds), **{a: v for a, v in axes.items() if a != "seed"}}
    return make_grid(
        file.stem,
        table.get("title", file.stem),
        {base.dataset: base for base in bases},
        axes,
        table.get("clean", True),
    )


def _axes(file: Path, table: Mapping[str, Any]) -> Mapping[str, list[Any]]:
    axes: Mapping[str, list[Any]] | None = table.get("axes")
    if not axes:
        raise ValueError(
            f"the grid {file} needs a table [axes] with lists of values, got {axes!r}"
        )
    for axis, values in axes.items():
        if not isinstance(values, list) or not values:
            raise ValueError(
                f"the axis {axis} of {file} needs a list of values, got {values!r}"
            )
    for name in axes.get("dataset", ()):
        lookup("data set", name, DATASETS)
    return axes


def _base(table: Mapping[str, Any], dataset: str | None) -> RunConfig:
    """What all cells of a data set have in common."""
    if "preset" in table:
        start = lookup("preset", table["preset"], PRESETS).config
    else:
        start = PAPER.get(dataset or "mnist", RunConfig())
    base = to_table(start)
    lay_over(base, table.get("base", {}))
    lay_over(base, {"dataset": dataset} if dataset else {})
    return from_table(base)
