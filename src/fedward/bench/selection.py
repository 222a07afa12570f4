"""Parts of a grid: by place on the axes, and by shard."""

from collections.abc import Mapping, Sequence

from fedward.bench.grid import NOBODY, Cell
from fedward.settings import UnknownName


def parse_only(texts: Sequence[str]) -> dict[str, set[str]]:
    """``dataset=mnist,nir=25`` as the values wanted of each axis.

    Raises:
        ValueError: if a part has no value.
    """
    wanted: dict[str, set[str]] = {}
    for part in (part for text in texts for part in text.split(",") if part):
        axis, equals, value = part.partition("=")
        if not equals or not axis:
            raise ValueError(f"--only needs the form axis=value, got {part!r}")
        wanted.setdefault(axis, set()).add(value)
    return wanted


def select(cells: Sequence[Cell], wanted: Mapping[str, set[str]]) -> tuple[Cell, ...]:
    """Cells that have one of the wanted values on every axis, and their clean twins.

    Raises:
        UnknownName: for an axis or a value that no cell has, with the nearest that one has.
    """
    axes = {axis: set[str]() for cell in cells for axis in cell.at}
    for cell in cells:
        for axis, value in cell.at.items():
            axes[axis].add(value)
    for axis, values in wanted.items():
        if axis not in axes:
            raise UnknownName("axis", axis, axes)
        for value in sorted(values - axes[axis]):
            raise UnknownName(f"value of the axis {axis}:", value, axes[axis])
    chosen = [
        cell
        for cell in cells
        if all(cell.at.get(axis) in values for axis, values in wanted.items())
    ]
    keys = {cell.key for cell in chosen} | {cell.clean.key for cell in chosen}
    return tuple(cell for cell in cells if cell.key in keys)


def parse_shard(text: str) -> tuple[int, int]:
    """``2/8`` as (2, 8): the second of eight.

    Raises:
        ValueError: if it is not of this form, or there is no such shard.
    """
    number, _, count = text.partition("/")
    if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise ValueError(f"--shard needs the form 2/8, from 1/8 to 8/8, got {text!r}")


def shard(cells: Sequence[Cell], number: int, count: int) -> tuple[Cell, ...]:
    """Every ``count``-th cell, so that each is in one shard whatever has been run.

    Clean twins that differ in the poisoned share alone go together: where a warm-up is
    shared, all but the first of them cost nothing.
    """
    decks: dict[tuple[str, ...], int] = {}

    def deck(cell: Cell) -> int:
        together = cell.at["attack"] == NOBODY
        at = {a: v for a, v in cell.at.items() if not (together and a == "pdr")}
        return decks.setdefault(tuple(f"{a}={v}" for a, v in at.items()), len(decks))

    return tuple(cell for cell in cells if deck(cell) % count == number - 1)
