from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedward.bench.estimate import pace
from fedward.bench.grid import Grid, make_grid
from fedward.bench.work import Outcome
from fedward.cli.grid_view import GridView, describe, duration, time_left
from fedward.simulation.config import RunConfig, to_table
from fedward.simulation.presets import FASHION, MNIST
from fedward.simulation.runner import folder_of


def grid() -> Grid:
    axes = {"nir": ["25", "iid"], "defense": ["median", "fedward"]}
    return make_grid("mine", "Mine", {"mnist": MNIST, "fashion-mnist": FASHION}, axes)


def result(config: RunConfig, aasr: float | None = 0.25) -> dict[str, Any]:
    metrics = {"ma_final": 0.97, "aasr": aasr, "aer": None}
    table = to_table(config)
    return {"config": table, "rounds": 110, "seconds": 220.0, "metrics": metrics}


def view(page: StringIO, runs: Path, terminal: bool = False, height: int = 50) -> GridView:
    console = Console(file=page, width=200, height=height, force_terminal=terminal)
    return GridView(console, grid().cells, {}, runs, size=2)


def table(shown: GridView, page: StringIO) -> list[list[str]]:
    page.truncate(0)
    shown.console.print(shown.picture())
    lines = page.getvalue().splitlines()
    return [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_the_table_fills_up(tmp_path: Path) -> None:
    page = StringIO()
    shown = view(page, tmp_path)
    floor, median, fedward = grid().cells[:3]
    assert table(shown, page)[0] == ["mnist", "25", "·", "·", "·"]
    shown.begun(floor)
    shown.begun(median)
    lines = folder_of(floor.config, tmp_path).rounds
    lines.parent.mkdir()
    lines.write_text("{}\n" * 55)
    shown.over(Outcome(median.key, error="RunLocked: taken"))
    shown.over(Outcome(fedward.key, result(fedward.config)))
    assert table(shown, page)[0] == ["mnist", "25", "·50%", "failed", "25.0"]
    shown.over(Outcome(floor.key, result(floor.config, None)))
    assert table(shown, page)[0] == ["mnist", "25", "MA 97.0", "failed", "25.0"]
    assert "2 of 12 cells" in page.getvalue()


def test_a_long_table_shows_where_the_work_is(tmp_path: Path) -> None:
    page = StringIO()
    shown = view(page, tmp_path, height=9)
    for cell in grid().cells[:9]:
        shown.over(Outcome(cell.key, result(cell.config)))
    assert len(table(shown, page)) == 4
    short = view(page, tmp_path, height=8)
    assert len(table(short, page)) == 4


def test_a_log_has_a_line_a_cell(tmp_path: Path) -> None:
    page = StringIO()
    with view(page, tmp_path) as shown:
        for cell in grid().cells[:2]:
            shown.over(Outcome(cell.key, result(cell.config)))
        shown.over(Outcome(grid().cells[2].key, error="RunLocked: taken"))
    first, second, third = page.getvalue().splitlines()
    assert first.startswith(
        "mnist fedavg nir=25 pdr=31.25 attack=none seed=0: MA 97.0%  AASR 25.0%  AER -"
    )
    assert "1 of 12 cells" in first
    assert "nothing known yet about the time of 6 cells" in second
    assert "failed: RunLocked: taken" in third


@pytest.mark.parametrize("quiet", [True, False])
def test_a_terminal_has_a_live_table_unless_quiet(quiet: bool, tmp_path: Path) -> None:
    page = StringIO()
    console = Console(file=page, width=120, height=30, force_terminal=True)
    with GridView(console, grid().cells, {}, tmp_path, 1, quiet) as shown:
        shown.over(Outcome(grid().cells[0].key, result(grid().cells[0].config)))
    assert ("25.0" in page.getvalue()) is not quiet
    assert "MA 97" not in page.getvalue()


def test_time_left_in_words() -> None:
    cells = grid().cells[:3]
    known = result(MNIST)
    paces = pace([known])
    assert time_left([], {}, paces, 1) == "nothing left"
    assert time_left(cells[1:2], {}, paces, 8) == "about 4 min left"
    assert time_left(cells[1:3], {cells[1].key: 100}, paces, 2) == "about 2 min left"
    assert time_left(cells, {}, {}, 1) == "nothing known yet about the time of 3 cells"
    both = time_left([*cells, grid().cells[7]], {}, paces, 1)
    assert both == "about 11 min left, nothing known yet about the time of 1 cells"
    assert [duration(s) for s in (5.0, 119.0, 7100.0, 7200.0, 36061.0)] == [
        "5 s", "2 min", "118 min", "2 h 0 min", "10 h 1 min",
    ]  # fmt: skip


def test_a_cell_in_a_line() -> None:
    assert describe(grid().cells[1]) == "mnist median nir=25 pdr=31.25 attack=dba seed=0"
