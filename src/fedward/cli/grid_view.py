"""A grid filling up: a table on a terminal, or a line a cell in a log."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fedward.bench.estimate import Kind, estimate, pace
from fedward.bench.grid import Cell
from fedward.bench.work import Outcome
from fedward.cli.grid_layout import arrange, tables
from fedward.cli.progress import percent
from fedward.simulation.runner import folder_of

WAITING, FAILED = "\N{MIDDLE DOT}", "failed"


class GridView:
    """What a person sees while cells are run, and what became of them.

    Args:
        cells: all that are shown, in order.
        results: of the cells that are finished, by key; it is not modified.
        runs: folder of the run folders, which say how far cells have come.
        size: how many cells run at a time.
    """

    def __init__(
        self,
        console: Console,
        cells: Sequence[Cell],
        results: Mapping[str, Mapping[str, Any]],
        runs: Path,
        size: int,
        quiet: bool = False,
    ) -> None:
        self.console, self.cells, self.runs, self.size = console, cells, runs, size
        self.quiet = quiet
        self.results = dict(results)
        self.paces: dict[Kind, float] = pace(results.values())
        self.before = len(self.left())
        self.running: dict[str, Cell] = {}
        self.failed: dict[str, str] = {}
        self.began = time.monotonic()
        self.by_key = {cell.key: cell for cell in cells}
        self.arranged = arrange(cells)
        self.live = Live(get_renderable=self.picture, console=console, refresh_per_second=1)

    def __enter__(self) -> "GridView":
        if self.console.is_terminal and not self.quiet:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live.is_started:
            self.live.stop()

    def left(self) -> list[Cell]:
        """Cells that are not finished."""
        return [cell for cell in self.cells if cell.key not in self.results]

    def begun(self, cell: Cell) -> None:
        """A cell was handed to a worker."""
        self.running[cell.key] = cell

    def over(self, outcome: Outcome) -> None:
        """A cell is finished, or has failed."""
        cell = self.by_key[outcome.key]
        self.running.pop(cell.key, None)
        if outcome.result is None:
            self.failed[cell.key] = outcome.error or "nobody knows why"
            said = f"failed: {self.failed[cell.key]}"
        else:
            self.results[cell.key] = dict(outcome.result)
            self.paces = pace(self.results.values())
            found = outcome.result["metrics"]
            said = (
                f"MA {percent(found['ma_final'])}  AASR {percent(found['aasr'])}  "
                f"AER {percent(found['aer'])}  {outcome.result['seconds']:.0f} s"
            )
        if not self.quiet and not self.live.is_started:
            line = f"{describe(cell)}: {said}  ({self.progress()})"
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def progress(self) -> str:
        """How many cells are done, how fast, and how long it will take."""
        left = len(self.left())
        said = f"{len(self.cells) - left} of {len(self.cells)} cells"
        minutes = (time.monotonic() - self.began) / 60
        new = self.before - left
        if new and minutes > 0:
            said += f", {new / minutes:.2g} a minute"
        return f"{said}, {self.time_left()}"

    def time_left(self) -> str:
        """In words; what nothing is known about is said."""
        left = [cell for cell in self.left() if cell.key not in self.failed]
        done = {cell.key: self.rounds(cell) for cell in left}
        return time_left(left, done, self.paces, self.size)

    def rounds(self, cell: Cell) -> int:
        """How many rounds of a cell are finished, as far as it can be seen from here."""
        return rounds_done(cell, self.runs)

    def picture(self) -> Group:
        """The cells as they are now, cut to what the terminal has room for."""
        return self.drawn(self.console.height - 2)

    def whole(self) -> Group:
        """Every cell."""
        return self.drawn(None)

    def drawn(self, height: int | None) -> Group:
        """Tables of so many lines, and how far all of it has come."""
        shown = tables(self.arranged, self.console.width, height, self.is_over, self.text)
        said = f"AASR in %, or MA where the attack has no target. {self.progress()}"
        return Group(*shown, Text(said))

    def is_over(self, key: str) -> bool:
        """Whether a cell is finished or has failed."""
        return key in self.results or key in self.failed

    def text(self, key: str | None) -> Text:
        """One cell."""
        if key is None:
            return Text("")
        if key in self.results:
            return Text(success(self.results[key]["metrics"]), style="green")
        if key in self.failed:
            return Text(FAILED, style="red")
        cell = self.by_key[key]
        if key in self.running:
            share = self.rounds(cell) / cell.config.rounds
            return Text(f"{WAITING}{share:.0%}", style="yellow")
        return Text(WAITING, style="dim")


def success(metrics: Mapping[str, Any]) -> str:
    """AASR in percent; of an attack without a target the MA that it left."""
    aasr, ma = metrics.get("aasr"), metrics.get("ma_final")
    if aasr is not None:
        return f"{100 * aasr:.1f}"
    return "-" if ma is None else f"MA {100 * ma:.1f}"


def describe(cell: Cell) -> str:
    """A cell in a line."""
    at = dict(cell.at)
    name = f"{at.pop('dataset')} {at.pop('defense')}"
    return name + "".join(f" {axis}={value}" for axis, value in at.items())


def rounds_done(cell: Cell, runs: Path) -> int:
    """Lines in the folder of a run."""
    lines = folder_of(cell.config, runs).rounds
    return lines.read_bytes().count(b"\n") if lines.exists() else 0


def time_left(
    cells: Sequence[Cell], done: Mapping[str, int], paces: Mapping[Kind, float], size: int
) -> str:
    """The estimate in words."""
    found = estimate(cells, done, paces)
    if not cells:
        return "nothing left"
    unknown = f"nothing known yet about the time of {found.unknown} cells"
    if found.unknown == len(cells):
        return unknown
    said = f"about {duration(found.seconds / max(min(size, len(cells)), 1))} left"
    return f"{said}, {unknown}" if found.unknown else said


def duration(seconds: float) -> str:
    """Hours and minutes, or seconds."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
