"""Where a grid's cells stand on a terminal: tables that are never wider than it is."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from fedward.bench.grid import Cell

FLOOR = "floor"
"""The column of the clean twins."""

CELL = len("MA 97.5")
"""The widest that a cell becomes: a table keeps its form while it fills up."""
LABEL = 11
"""Longer names of places are broken into lines of this where they head a column."""

Row = tuple[str, ...]
Over = Callable[[str], bool]
"""Whether nothing is to come of the cell with this key."""
Draw = Callable[[str | None], Text]
"""A cell by its key; None is a place without one."""


@dataclass(frozen=True)
class Arrangement:
    """Cells by place and method.

    Attributes:
        axes: what the rows are labelled with: the axes that differ, but for the method.
        rows: the places, each a value of every axis.
        columns: the methods, the floor first.
        places: the key at each place.
    """

    axes: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    places: Mapping[tuple[Row, str], str]

    def key(self, row: Row, column: str) -> str | None:
        """Of the cell there; None if there is none."""
        return self.places.get((row, column))

    def over(self, row: Row, columns: Sequence[str], over: Over) -> bool:
        """Whether all that stands there is over."""
        keys = (self.key(row, column) for column in columns)
        return all(key is None or over(key) for key in keys)


def arrange(cells: Sequence[Cell]) -> Arrangement:
    """Every cell in one place; a twin stands in each of the rows that it is for."""
    keys = {cell.key for cell in cells}
    twins = {cell.clean.key for cell in cells if cell.clean.key != cell.key}
    own = [cell for cell in cells if cell.key not in twins]
    axes = row_axes(own)
    places: dict[tuple[Row, str], str] = {}
    for cell in own:
        row = tuple(cell.at.get(axis, "") for axis in axes)
        if (row, cell.at["defense"]) in places:
            # Twins without those that they are for may differ in nothing that is an axis.
            row = (*row[:-1], f"{row[-1]} ({cell.key})".strip())
        places[row, cell.at["defense"]] = cell.key
        if cell.clean.key in keys:
            places[row, FLOOR] = cell.clean.key
    rows = tuple(dict.fromkeys(row for row, _ in places))
    columns = dict.fromkeys(column for _, column in places)
    ordered = tuple(sorted(columns, key=lambda column: column != FLOOR))
    return Arrangement(axes, rows, ordered, places)


def row_axes(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The axes that differ between cells, but for the method."""
    axes = dict.fromkeys(axis for cell in cells for axis in cell.at)
    vary = [a for a in axes if len({cell.at.get(a) for cell in cells}) > 1]
    vary = [axis for axis in vary if axis != "defense"]
    told = [axis for axis in vary if axis != "pdr"]
    # Attacks have shares of their own, or none: their names say enough.
    if "attack" in told and _apart(cells, told) == _apart(cells, vary):
        vary = told
    return tuple(vary) or ("dataset",)


def _apart(cells: Sequence[Cell], axes: Sequence[str]) -> int:
    return len({tuple(cell.at.get(axis) for axis in axes) for cell in cells})


def tables(
    cells: Arrangement, width: int, height: int | None, over: Over, draw: Draw
) -> list[Table]:
    """The cells as one table or several below each other.

    Methods are columns if the terminal is wide enough for all of them; else they are rows,
    and the places are columns, as many to a table as there is room for.

    Args:
        width: columns of the terminal.
        height: lines there are for all tables: what is finished is left out first. None
            for no limit.
    """
    if _straight_width(cells) > width:
        return _turned(cells, width, height, over, draw)
    done = [cells.over(row, cells.columns, over) for row in cells.rows]
    room = len(done) if height is None else max(height - 4, 4)
    table = Table(*cells.axes)
    for column in cells.columns:
        table.add_column(column, justify="right", min_width=CELL)
    for row in cells.rows[_window(done, room)]:
        table.add_row(*row, *(draw(cells.key(row, column)) for column in cells.columns))
    return [table]


def _straight_width(cells: Arrangement) -> int:
    labels = [
        max(map(len, (axis, *values)))
        for axis, values in zip(cells.axes, zip(*cells.rows, strict=True), strict=True)
    ]
    widths = [*labels, *(max(CELL, len(column)) for column in cells.columns)]
    return 1 + sum(width + 3 for width in widths)


def _window(done: Sequence[bool], room: int) -> slice:
    """So many in a row, from the first that is not over, as far as there are any."""
    first = list(done).index(False) if False in done else 0
    first = max(min(first, len(done) - room), 0)
    return slice(first, first + room)


def _turned(
    cells: Arrangement, width: int, height: int | None, over: Over, draw: Draw
) -> list[Table]:
    """A row a method, and the places in blocks that are no wider than the terminal."""
    names = max(map(len, (*cells.axes, *cells.columns)))
    blocks = list(_blocks(cells.rows, width - names - 4))
    if height is None:
        return [_block(cells, block, cells.columns, draw) for block in blocks]
    high = max(len(_head(cells.axes, block)[0]) for block in blocks) + 3
    columns = len(cells.columns)
    count = max(height // (columns + high), 1)
    done = [all(cells.over(r, cells.columns, over) for r in block) for block in blocks]
    shown = blocks[_window(done, count)]
    rows = [row for block in shown for row in block]
    at = next((r for r in rows if not cells.over(r, cells.columns, over)), rows[0])
    settled = [cells.over(at, [column], over) for column in cells.columns]
    methods = cells.columns[_window(settled, max(height - high, 4))]
    return [_block(cells, block, methods, draw) for block in shown]


def _blocks(rows: Sequence[Row], width: int) -> Iterator[list[Row]]:
    """Places side by side, at least one at a time."""
    block: list[Row] = []
    used = 0
    for row in rows:
        wide = max(CELL, *(len(line) for label in row for line in _lines(label))) + 3
        if block and used + wide > width:
            yield block
            block, used = [], 0
        block.append(row)
        used += wide
    if block:
        yield block


def _block(
    cells: Arrangement, rows: Sequence[Row], methods: Sequence[str], draw: Draw
) -> Table:
    first, *heads = _head(cells.axes, rows)
    table = Table()
    table.add_column(Text("\n".join(first)), overflow="fold")
    for head in heads:
        table.add_column(Text("\n".join(head)), justify="right", min_width=CELL)
    for method in methods:
        table.add_row(method, *(draw(cells.key(row, method)) for row in rows))
    return table


def _head(axes: Sequence[str], rows: Sequence[Row]) -> list[list[str]]:
    """The heading's lines for the axes' names and every place, value beside value."""
    heads: list[list[str]] = [[] for _ in range(1 + len(rows))]
    for number, axis in enumerate(axes):
        parts = [[axis], *(_lines(row[number]) for row in rows)]
        high = max(map(len, parts))
        for head, part in zip(heads, parts, strict=True):
            head += part + [""] * (high - len(part))
    return heads


def _lines(label: str) -> list[str]:
    return textwrap.wrap(label, LABEL) or [""]
