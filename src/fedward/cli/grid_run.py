"""Running the cells of a grid for a command, and saying what became of them."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from fedward.bench.backends import default_size, workers
from fedward.bench.estimate import pace
from fedward.bench.execute import execute
from fedward.bench.grid import Cell, Grid
from fedward.bench.results import Scan, file_names, read_results, scan_results, write_result
from fedward.bench.trackers import TRACKERS, Tracker, make_tracker
from fedward.bench.work import Bench, Outcome
from fedward.cli.grid_view import GridView, describe, rounds_done, time_left
from fedward.cli.session import Interrupted
from fedward.engine import ENGINES, default_engine
from fedward.settings import lookup
from fedward.simulation.config import to_table
from fedward.simulation.folder import RunBroken, read_lines
from fedward.simulation.runner import engine_name, folder_of

Result = Mapping[str, Any]


@dataclass(frozen=True)
class GridRun:
    """The cells of one command.

    Attributes:
        grid: all cells, also those that were not selected: they decide file names.
        cells: those that are wanted, in order.
        results: folder of the small files; None for none.
        track: names of trackers that write into the folder of the runs.
        jobs: most cells at a time; None for what the machine has.
        failed: why, by key; filled by `execute`.
    """

    grid: Grid
    cells: tuple[Cell, ...]
    bench: Bench
    results: Path | None = None
    track: tuple[str, ...] = ()
    jobs: int | None = None
    backend: str = "local"
    cluster: str | None = None
    quiet: bool = False
    failed: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.bench.engine is not None:
            lookup("engine", self.bench.engine, ENGINES)
        trains = self.bench.engine or engine_name(default_engine(self.bench.device))
        if self.bench.stack > 1 and trains != "stacked":
            raise ValueError(f"--stack needs --engine stacked, got {trains}")
        for name in self.track:
            lookup("tracker", name, TRACKERS)

    @cached_property
    def done(self) -> dict[str, Result]:
        """Finished results of the cells by key, from run folders and small files."""
        held, wanted = self._small_files.results, {cell.key for cell in self.cells}
        found: dict[str, Result] = {key: held[key] for key in held if key in wanted}
        for cell in self.cells:
            kept = self._kept(cell)
            found |= {} if kept is None else {cell.key: kept[0]}
        return found

    def _kept(self, cell: Cell) -> tuple[Result, Sequence[Result]] | None:
        """Result and rounds in the run folder of a cell, if it is finished."""
        # A damaged cell fails when its turn comes, and stops no other.
        with suppress(RunBroken):
            folder = folder_of(cell.config, self.bench.runs)
            result, lines = folder.finished(), read_lines(folder.rounds)
            return (result, lines) if result is not None and lines else None
        return None

    @property
    def _results_folder(self) -> Path | None:
        return None if self.results is None else self.results / self.grid.name

    @cached_property
    def _small_files(self) -> Scan:
        """What the small files held when this command began."""
        folder = self._results_folder
        if folder is None or not folder.exists():
            return Scan({}, {})
        return scan_results([folder])

    @property
    def broken(self) -> list[str]:
        """What is wrong with each small file that is left alone."""
        return list(self._small_files.broken.values())

    @cached_property
    def _names(self) -> dict[str, str]:
        """Of the small files; a file of another configuration or a damaged one stays."""
        names, folder = file_names(self.grid), self._results_folder
        for key, name in names.items():
            file = None if folder is None else folder / name
            if file is None or not file.exists():
                continue
            if key not in scan_results([file]).results:
                names[key] = f"{name.removesuffix('.json')}-{key}.json"
        return names

    @cached_property
    def _trackers(self) -> list[Tracker]:
        folder = self.bench.runs
        return [make_tracker(name, folder, self.grid.name) for name in self.track]

    def collect(self) -> None:
        """Write the small files of what is finished, and tell the trackers.

        Raises:
            ValueError: if a tracker's extra is not installed, before anything is trained.
        """
        trackers = self._trackers
        if not trackers and self._results_folder is None:
            return
        for cell in self.cells:
            if cell.key in self.done:
                # Of a small file from elsewhere, or beside a damaged folder, no rounds.
                _, lines = self._kept(cell) or (None, ())
                self._write(cell, self.done[cell.key], lines)

    def _write(self, cell: Cell, result: Result, rounds: Sequence[Result]) -> None:
        """The driver alone writes what is not a run folder."""
        name = self._names[cell.key]
        if self._results_folder is not None:
            write_result(self._results_folder / name, result)
        for tracker in self._trackers:
            if rounds:
                tracker.write(cell, name.removesuffix(".json"), rounds, result)

    def execute(self) -> None:
        """Run every cell that is not finished.

        Raises:
            Interrupted: on Ctrl-C, saying how to go on.
            ValueError: if there are no workers to run them on.
        """
        left = [cell for cell in self.cells if cell.key not in self.done]
        if not left:
            return
        jobs = None if self.jobs is None else min(self.jobs, len(left))
        with workers(self.backend, jobs, self.bench.device, self.cluster) as free:
            size = min(free, len(left))
            bench = replace(
                self.bench,
                workers=size,
                side_by_side=self.backend != "local" or size > 1,
                session=str(os.getpid()),
            )
            console = Console(stderr=True)
            view = GridView(console, self.cells, self.done, bench.runs, size, self.quiet)
            try:
                with view:
                    for outcome in execute(left, bench, size, view.begun):
                        self._over(outcome)
                        view.over(outcome)
                self._done_elsewhere()
            except KeyboardInterrupt as stop:
                raise Interrupted(
                    f"stopped; {len(self.done)} of {len(self.cells)} cells are finished "
                    f"and every finished round of the others is saved in {bench.runs}. "
                    "Go on with the same command."
                ) from stop

    def _done_elsewhere(self) -> None:
        """Take what failed because another command had the folder, and has finished it."""
        for cell in self.cells:
            kept = self._kept(cell) if cell.key in self.failed else None
            if kept is not None:
                del self.failed[cell.key]
                self._over(Outcome(cell.key, kept[0], tuple(kept[1])))

    def _over(self, outcome: Outcome) -> None:
        if outcome.result is None:
            self.failed[outcome.key] = outcome.error or ""
        else:
            self.done[outcome.key] = outcome.result
            cell = next(cell for cell in self.cells if cell.key == outcome.key)
            self._write(cell, outcome.result, outcome.rounds)

    def state(self, cell: Cell) -> str:
        """Finished, failed, or how far it has come."""
        if cell.key in self.done:
            return "finished"
        if cell.key in self.failed:
            return "failed"
        rounds = rounds_done(cell, self.bench.runs)
        return f"{rounds} of {cell.config.rounds} rounds" if rounds else "not begun"

    def time_left(self) -> str:
        """The estimate, learnt from these cells and from all other runs in the folder."""
        known = dict(self.done)
        for folder in self.bench.runs.glob("*/result.json"):
            with suppress(ValueError):  # a deployment's
                known |= read_results([folder])
        left = [cell for cell in self.cells if cell.key not in self.done]
        done = {cell.key: rounds_done(cell, self.bench.runs) for cell in left}
        size = default_size(self.jobs, self.bench.device)
        return time_left(left, done, pace(known.values()), size)

    def show(self, as_json: bool) -> None:
        """Every cell, its state and the time left; nothing is run or written."""
        if as_json:
            rows = [
                {**self._row(cell), "config": to_table(cell.config)} for cell in self.cells
            ]
            print(json.dumps({**self._head(), "cells": rows}, indent=2))
            return
        console = Console(highlight=False, soft_wrap=True)
        for cell in self.cells:
            line = f"{cell.key}  {describe(cell)}: {self.state(cell)}"
            console.print(line, markup=False)
        head = self._head()
        console.print(
            f"{self.grid.title}: {head['finished']} of {len(self.cells)} cells finished, "
            f"{head['time_left']}",
            markup=False,
        )

    def print_outcome(self, as_json: bool) -> None:
        """The table of the grid and what failed; or everything as JSON."""
        if as_json:
            rows = [
                {
                    **self._row(cell),
                    "result": self.done.get(cell.key),
                    "error": self.failed.get(cell.key),
                }
                for cell in self.cells
            ]
            print(json.dumps({**self._head(), "cells": rows}, indent=2))
            return
        console = Console()
        view = GridView(console, self.cells, self.done, self.bench.runs, 1)
        view.failed = dict(self.failed)
        console.print(view.whole())
        for cell in self.cells:
            if cell.key in self.failed:
                said = f"failed: {describe(cell)}: {self.failed[cell.key]}"
                console.print(said, markup=False, highlight=False, soft_wrap=True)
        if self._results_folder is not None:
            console.print(
                f"Results: {self._results_folder}", soft_wrap=True, highlight=False
            )

    def _head(self) -> dict[str, Any]:
        finished = sum(cell.key in self.done for cell in self.cells)
        return {
            "grid": self.grid.name,
            "title": self.grid.title,
            "finished": finished,
            "failed": len(self.failed),
            "time_left": self.time_left(),
            "broken": self.broken,
        }

    def _row(self, cell: Cell) -> dict[str, Any]:
        return {
            "key": cell.key,
            "at": dict(cell.at),
            "state": self.state(cell),
            "folder": str(folder_of(cell.config, self.bench.runs).path),
        }
