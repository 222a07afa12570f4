"""The page of a grid and its other forms, written where the user wants them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fedward.bench.grid import Grid
from fedward.bench.results import Scan, scan_results
from fedward.cli.bench import chosen_grid
from fedward.cli.grid_view import describe
from fedward.report.grid_cells import entries, found_grid
from fedward.report.grid_html import (
    Folders,
    Note,
    find_folders,
    run_folders,
    write_grid_report,
)
from fedward.report.grid_markup import latex, markdown
from fedward.report.grid_records import as_csv, as_parquet, records
from fedward.report.grid_sheets import lay_out
from fedward.simulation.config import is_clean
from fedward.simulation.folder import replace_file

TERMINAL = Path("-")

NAMED = 10
"""So many results without a place in the grid, or unfinished runs, are named."""


@dataclass(frozen=True)
class Export:
    """One form of a grid's tables, and the file it goes to; ``-`` is the terminal."""

    kind: str
    file: Path


@dataclass(frozen=True)
class GridReport:
    """A grid and what is known of it.

    Attributes:
        results: by key.
        folders: run folders by key.
        broken: what is wrong with each file or folder that is left out.
    """

    grid: Grid
    results: Mapping[str, Mapping[str, Any]]
    folders: Mapping[str, Path]
    broken: tuple[str, ...]

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        name: str | None,
        extra: Sequence[str],
        seeds: str | None,
    ) -> "GridReport":
        """What is at these places, as the named grid or as it was found.

        Raises:
            ValueError: if a place does not exist, or nothing is there and no grid is named.
        """
        scan, folders = scan_results(paths), find_folders(paths)
        broken = all_broken(scan, folders)
        if name not in (None, "found"):
            grid = chosen_grid(str(name), extra, seeds, None, ())
        elif extra or seeds is not None:
            raise ValueError("--with and --seeds need --grid with the name of a grid")
        elif scan.results:
            grid = found_grid(scan.results)
        else:
            raise ValueError(broken[0] if broken else nothing_finished(paths))
        return cls(grid, scan.results, folders.by_key, broken)

    @cached_property
    def strangers(self) -> tuple[str, ...]:
        """Results that are neither cells of the grid nor clean twins of any, by name."""
        known = {key for c in self.grid.cells for key in (c.key, c.clean.key)}
        others = {key: made for key, made in self.results.items() if key not in known}
        return tuple(
            f"{describe(c)}{', nobody attacks' if is_clean(c.config) else ''} ({c.key})"
            for c in found_grid(others).cells
        )

    @property
    def notes(self) -> list[Note]:
        """What the page has to say of what it does not show."""
        named = (
            ("Damaged and left out", self.broken),
            (f"Results that are no cells of {self.grid.name}", self.strangers),
        )
        return [Note(f"{said}: {len(which)}", which) for said, which in named if which]

    @property
    def left_out(self) -> list[str]:
        """The same in lines for a terminal; of very many results the first."""
        lines = [f"left out: {why}" for why in self.broken]
        if self.strangers:
            lines.append(
                f"left out: {len(self.strangers)} of {len(self.results)} results, "
                f"which are no cells of {self.grid.name}:"
            )
            lines += [f"  {name}" for name in self.strangers[:NAMED]]
            more = len(self.strangers) - NAMED
            lines += [f"  and {more} more, which --json names"] if more > 0 else []
        return lines

    def write(
        self, page: Path | None, exports: Sequence[Export]
    ) -> tuple[str, dict[str, Any]]:
        """Write the page, if wanted, and every export; what to tell people, and machines.

        Raises:
            ValueError: if a file cannot be written.
        """
        try:
            for export in exports:
                deliver(export.file, self.form(export.kind))
            if page is not None:
                write_grid_report(self.grid, self.results, page, self.folders, self.notes)
        except OSError as error:
            raise ValueError(f"the report cannot be written: {error}") from error
        done = sum(cell.key in self.results for cell in self.grid.cells)
        files = [export.file for export in exports if export.file != TERMINAL]
        files += [] if page is None else [page]
        said = f"{done} of {len(self.grid.cells)} cells: {', '.join(map(str, files))}"
        facts = {
            "report": None if page is None else str(page),
            "cells": len(self.grid.cells),
            "finished": done,
            "files": [str(file) for file in files],
            "broken": list(self.broken),
            "strangers": list(self.strangers),
        }
        piped = any(export.file == TERMINAL for export in exports)
        return "" if piped else said, facts

    def form(self, kind: str) -> str | bytes:
        """The grid's tables in one form."""
        found = entries(self.grid, self.results)
        if kind == "csv":
            return as_csv(records(found))
        if kind == "parquet":
            return as_parquet(records(found))
        return (latex if kind == "latex" else markdown)(lay_out(found))


def nothing_finished(paths: Sequence[Path]) -> str:
    """What to say of places without a result."""
    begun = list(map(str, run_folders(paths)))
    if begun:
        named = ", ".join(begun[:NAMED]) + (", ..." if len(begun) > NAMED else "")
        return f"the tables need a finished run, got unfinished ones: {named}"
    places = ", ".join(map(str, paths))
    return f"{places}: neither a run folder nor a finished result there"


def all_broken(scan: Scan, folders: Folders) -> tuple[str, ...]:
    """What is wrong with files and folders; what a file says, its folder need not."""
    said = dict(scan.broken)
    for place, why in folders.broken.items():
        if str(Path(place) / "result.json") not in scan.broken:
            said[place] = why
    return tuple(said.values())


def deliver(file: Path, content: str | bytes) -> None:
    """Write to a file, its folders made, or to the terminal.

    A file appears whole or not at all.
    """
    data = content.encode() if isinstance(content, str) else content
    if file == TERMINAL:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    elif file.exists() and not file.is_file():
        # A pipe or a device cannot be replaced, and holds nothing that could be lost.
        file.write_bytes(data)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file.resolve(), data)
