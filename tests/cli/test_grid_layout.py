from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, Group
from rich.text import Text

from fedward.bench.grid import Cell, make_grid
from fedward.bench.grids import Wishes, attacks, table1
from fedward.bench.selection import select
from fedward.cli.grid_layout import FLOOR, Arrangement, arrange, tables
from fedward.simulation.presets import FASHION, MNIST

MORE = ("fedavg", "krum", "rfa", "foolsgold", "dnc", "afa", "crfl-authors", "norm-clipping",
        "fedward:eps=kth")  # fmt: skip


def page(cells: Sequence[Cell], width: int, height: int | None, done: int = 0) -> str:
    """The tables as text; every cell has a number of its own, or is over."""
    numbers = {cell.key: str(1000 + number) for number, cell in enumerate(cells)}
    finished = {cell.key for cell in cells[:done]}

    def draw(key: str | None) -> Text:
        return Text("" if key is None else numbers[key])

    out = StringIO()
    made = tables(arrange(cells), width, height, finished.__contains__, draw)
    Console(file=out, width=width).print(Group(*made))
    return out.getvalue()


def holds_all(cells: Sequence[Cell], arranged: Arrangement) -> bool:
    return set(arranged.places.values()) == {cell.key for cell in cells}


def test_rows_are_the_axes_and_columns_the_defenses() -> None:
    axes = {"nir": ["25", "iid"], "defense": ["median", "fedward"]}
    bases = {"mnist": MNIST, "fashion-mnist": FASHION}
    cells = make_grid("mine", "Mine", bases, axes).cells
    made = arrange(cells)
    assert made.axes == ("dataset", "nir")
    assert made.rows == (("mnist", "25"), ("mnist", "iid"), ("fashion-mnist", "25"),
                         ("fashion-mnist", "iid"))  # fmt: skip
    assert made.columns == (FLOOR, "median", "fedward")
    assert len(made.places) == 12
    for cell in cells:
        column = FLOOR if cell.at["attack"] == "none" else cell.at["defense"]
        assert made.key((cell.at["dataset"], cell.at["nir"]), column) == cell.key


def test_a_floor_stands_in_every_row_that_it_is_for() -> None:
    axes = {"defense": ["median", "fedward"], "attack": ["dba", "mla"]}
    cells = make_grid("mine", "Mine", {"mnist": MNIST}, axes).cells
    made = arrange(cells)
    assert made.rows == (("dba",), ("mla",))
    assert made.key(("dba",), FLOOR) == cells[1].clean.key
    assert made.key(("dba",), FLOOR) != made.key(("mla",), FLOOR)
    (alone,) = make_grid("mine", "Mine", {"mnist": MNIST}, {"seed": [0]}, clean=False).cells
    assert arrange([alone]).places == {(("mnist",), "fedward"): alone.key}


@pytest.mark.parametrize(
    ("axis", "values"),
    [("attack", ["none", "dba"]), ("attackers.count", [0, 4]), ("attackers.stop", [5, 9])],
)
def test_a_value_that_is_never_attacked_has_a_row(axis: str, values: list[Any]) -> None:
    axes = {axis: values, "defense": ["fedavg", "median"]}
    cells = make_grid("mine", "Mine", {"mnist": MNIST}, axes).cells
    made = arrange(cells)
    assert made.axes == (axis,)
    assert len(made.rows) == 2
    assert holds_all(cells, made)


def test_twins_on_their_own_are_all_there() -> None:
    cells = select(attacks(Wishes()).cells, {"attack": {"none"}})
    assert holds_all(cells, arrange(cells))


def test_the_shares_of_several_attacks_are_no_labels() -> None:
    cells = attacks(Wishes()).cells
    made = arrange(cells)
    assert made.axes == ("attack",)
    assert holds_all(cells, made)


@pytest.mark.parametrize(
    "cells",
    [table1(Wishes()).cells, table1(Wishes(MORE)).cells, attacks(Wishes()).cells],
    ids=["Table I", "Table I with fifteen methods", "attacks"],
)
def test_everything_can_be_read_on_eighty_columns(cells: Sequence[Cell]) -> None:
    text = page(cells, 80, None)
    shown = {word.strip() for line in text.splitlines() for word in line.split("│")}
    assert {str(1000 + number) for number in range(len(cells))} <= shown
    assert {cell.at["defense"] for cell in cells if cell.at["attack"] != "none"} <= shown
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_wide_terminal_has_the_methods_as_columns() -> None:
    cells = table1(Wishes()).cells
    head = page(cells, 200, None).splitlines()[1]
    assert [word.strip() for word in head.split("┃")[1:6]] == [
        "dataset", "nir", "pdr", FLOOR, "median",
    ]  # fmt: skip


@pytest.mark.parametrize("height", [12, 22, 40])
@pytest.mark.parametrize("width", [80, 200])
def test_a_short_terminal_shows_where_the_work_is(width: int, height: int) -> None:
    cells = table1(Wishes(MORE)).cells
    for done in (0, 200, len(cells) - 1, len(cells)):
        text = page(cells, width, height, done)
        assert len(text.splitlines()) <= height
        if done < len(cells):
            assert str(1000 + done) in text
