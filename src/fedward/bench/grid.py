"""A grid: configurations that belong together, each with its place on the grid's axes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from fedward.simulation.assign import (
    lay_over,
    nir_partition,
    parse_named,
    poison,
    poisoner,
    put,
)
from fedward.simulation.config import (
    RunConfig,
    clean_twin,
    from_table,
    named_options,
    to_table,
)

NOBODY = "none"
"""The attack of a cell in which nobody attacks."""


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        at: axis to value, both as people write them, such as ``{"dataset": "mnist", "nir":
            "25", "pdr": "46.875", "attack": "dba", "defense": "fedward:eps=kth", "seed":
            "0"}``; then the grid's other axes, if it has any. ``nir`` is ``iid`` for an
            even split; ``pdr`` is missing where nothing is poisoned.
    """

    config: RunConfig
    at: Mapping[str, str] = field(hash=False)

    @cached_property
    def key(self) -> str:
        """The key of its run."""
        return self.config.key

    @cached_property
    def clean(self) -> "Cell":
        """Its clean twin: the floor under its success rates."""
        quiet = {"attack": NOBODY, "defense": "fedavg"}
        return Cell(clean_twin(self.config), {**self.at, **quiet})


@dataclass(frozen=True)
class Grid:
    """Cells in the order in which they are run, no key twice."""

    name: str
    title: str
    cells: tuple[Cell, ...]


def make_grid(
    name: str,
    title: str,
    bases: Mapping[str, RunConfig],
    axes: Mapping[str, Sequence[Any]],
    clean: bool = True,
) -> Grid:
    """Every combination of a data set and one value of each axis.

    Args:
        bases: by data set, what all its cells have in common.
        axes: values by axis. ``nir`` takes percentages and ``iid``; ``pdr`` percentages;
            ``attack`` and ``defense`` names, as ``name`` or ``name:option=value``, an
            attack also ``none``; every other axis is a setting, such as ``seed`` or
            ``training.lr``. The first changes slowest.
        clean: whether every cell's clean twin is in the grid, before the first cell that
            it is the floor of.

    Raises:
        UnknownName: for a name that does not exist, with the nearest that does.
        ValueError: for a value that a setting cannot have, or an axis without values.
    """
    for axis, values in axes.items():
        if not values:
            raise ValueError(f"the axis {axis} needs at least one value, got none")
    cells = (
        make_cell(base, dict(zip(axes, values, strict=True)))
        for base in bases.values()
        for values in product(*axes.values())
    )
    return Grid(name, title, unique(with_twins(cells) if clean else cells))


def make_cell(base: RunConfig, values: Mapping[str, Any]) -> Cell:
    """A configuration with one value of each axis.

    Raises:
        ValueError: if an axis takes back what ``nir`` or ``pdr`` sets.
    """
    table = to_table(base)
    # What stands by itself first; a part of it last, since names replace the whole.
    for path in (axis for axis in values if axis not in NAMED and "." not in axis):
        put(table, path, values[path])
    name_parts(table, values)
    named = from_table(table)
    # Where nobody attacks, an attack has no parts.
    absent = [a for a in values if a.startswith("attack.") and table["attack"] is None]
    parts = [axis for axis in values if "." in axis and axis not in absent]
    for path in parts:
        put(table, path, values[path])
    config = from_table(table)
    stated, at = place(named), place(config)
    for axis in ("nir", "pdr"):
        if axis in values and at.get(axis) != stated.get(axis):
            raise ValueError(
                f"the axis {axis} sets {stated.get(axis)}, and "
                f"{' or '.join(parts)} makes {at.get(axis)} of it; one of them is too many"
            )
    given = {a: text_of(value) for a, value in values.items() if a not in absent}
    return Cell(config, {**at, **given})


NAMED = ("nir", "attack", "pdr", "defense")
"""Axes whose values are no settings as they stand."""


def name_parts(table: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put the split, attack, poisoned share and defence that the axes name."""
    if "nir" in values:
        table["partition"] = nir_partition(str(values["nir"]), from_table(table))
    if "attack" in values:
        attack = values["attack"]
        named_attack = None if attack == NOBODY else parse_named(attack, "the axis attack")
        lay_over(table, {"attack": named_attack})
    if "pdr" in values:
        poison(table, _percentage(values["pdr"]) / 100)
    if "defense" in values:
        defense = parse_named(values["defense"], "the axis defense")
        lay_over(table, {"defense": defense})


def _percentage(value: Any) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"PDR needs a percentage, got {value!r}")


def with_twins(cells: Iterator[Cell]) -> Iterator[Cell]:
    """Every attacked cell behind its clean twin."""
    for cell in cells:
        if cell.config.attack is not None:
            yield cell.clean
        yield cell


def unique(cells: Iterator[Cell]) -> tuple[Cell, ...]:
    """The first cell of every key."""
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.key, cell)
    return tuple(found.values())


def place(config: RunConfig) -> dict[str, str]:
    """Where a configuration stands on the axes that every grid has."""
    table = to_table(config)
    partition, attack = table["partition"], table["attack"]
    nir = f"{100 * partition['alpha']:g}" if "alpha" in partition else partition["name"]
    at = {"dataset": config.dataset, "nir": nir}
    inner = poisoner(attack)
    if inner is not None:
        at["pdr"] = f"{100 * inner['pdr']:g}"
    at["attack"] = NOBODY if attack is None else attack["name"]
    return {**at, "defense": defense_text(config), "seed": str(config.seed)}


def defense_text(config: RunConfig) -> str:
    """A defence as people write it: its name, and the options that are not its defaults."""
    name, changed = named_options(config)
    return ":".join([name, *(f"{o}={text_of(value)}" for o, value in changed.items())])


def text_of(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
