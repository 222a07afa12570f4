"""The page of a grid: tables beside the paper's, bars, curves and provenance."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import plotly.graph_objects as go

from fedward.bench.grid import Grid
from fedward.report.figures import curves
from fedward.report.grid_cells import Entry, Result, entries, method_text
from fedward.report.grid_facts import (
    FACTS,
    Tally,
    apart,
    differences,
    headline,
    provenance,
    settings_table,
    tally,
    times_table,
)
from fedward.report.grid_figures import escapes
from fedward.report.grid_sheets import Matrix, Sheet, lay_out, split_text
from fedward.report.grid_tables import (
    NEAR,
    SHOWN,
    ShownTable,
    errors_table,
    main_table,
    matrix_table,
)
from fedward.report.pages import Chart, chart, fill, write_page
from fedward.report.runs import BrokenRun, RunView, read_run
from fedward.simulation.config import from_table


@dataclass(frozen=True)
class Section:
    """A sheet or a matrix on the page."""

    tally: Tally
    main: ShownTable
    errors: ShownTable | None
    matrix: bool


@dataclass(frozen=True)
class Curves:
    """The runs of one place, over rounds.

    Attributes:
        keys: of the runs that are drawn.
    """

    title: str
    chart: Chart | None
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """What the page does not show, in a sentence, and each by name."""

    said: str
    which: tuple[str, ...]


def write_grid_report(
    grid: Grid,
    results: Mapping[str, Result],
    out: Path,
    folders: Mapping[str, Path] | None = None,
    notes: Sequence[Note] = (),
) -> Path:
    """Write the page of a grid to ``out`` and say where it is.

    The file appears whole or not at all.

    Args:
        results: by key; cells without one are shown as missing.
        folders: run folders by key, where there are any: their rounds become curves.
        notes: on what is left out.

    Raises:
        BrokenRun: if a run folder cannot be read.
    """
    folders = folders or {}
    wanted = {cell.key for cell in grid.cells}
    runs = {key: read_run(path) for key, path in folders.items() if key in wanted}
    reports = {key: run.folder / "report.html" for key, run in runs.items()}
    links = {
        key: quote(os.path.relpath(report.resolve(), out.resolve().parent))
        for key, report in reports.items()
        if report.exists()
    }
    return write_page(render_grid(grid, results, runs, links, notes), out)


@dataclass(frozen=True)
class Folders:
    """Run folders in some places.

    Attributes:
        by_key: those that can be read.
        broken: by folder, what is wrong with one that cannot.
    """

    by_key: Mapping[str, Path]
    broken: Mapping[str, str]


def find_folders(paths: Iterable[Path]) -> Folders:
    """The run folders at these places or inside them, however deep.

    A deployment's folder is passed over: it is no cell of a grid.
    """
    found: dict[str, Path] = {}
    broken: dict[str, str] = {}
    for path in run_folders(paths):
        try:
            key = _key(path)
            found |= {} if key is None else {key: path}
        except (BrokenRun, OSError) as error:
            broken[str(path)] = str(error)
    return Folders(found, broken)


def run_folders(paths: Iterable[Path]) -> Iterator[Path]:
    """Every run folder at these places or inside them, also if it cannot be read."""
    for path in paths:
        if (path / "config.json").is_file():
            yield path
        elif path.is_dir() and os.access(path, os.R_OK | os.X_OK):
            inside = (p for p in path.iterdir() if not p.name.startswith("."))
            yield from run_folders(sorted(inside))


def _key(folder: Path) -> str | None:
    config = dict(read_run(folder).config)
    try:
        return from_table(config).key
    except (ValueError, TypeError):
        return None


def render_grid(
    grid: Grid,
    results: Mapping[str, Result],
    runs: Mapping[str, RunView] | None = None,
    links: Mapping[str, str] | None = None,
    notes: Sequence[Note] = (),
) -> str:
    """The page as text; a pure function of what it is given.

    Args:
        results: by key; cells without one are shown as missing.
        runs: what the run folders hold, by key.
        links: where a run's own report is, by key.
        notes: on what is left out.
    """
    runs = runs or {}
    found = entries(grid, results)
    pages = lay_out(found)
    drawn = _curves(pages, runs)
    return fill(
        "grid.html.j2",
        title=f"Fedward: {grid.title}",
        about=grid.title,
        sentences=headline(found),
        notes=notes,
        sheets=[_section(page) for page in pages],
        escapes=chart("aer", "AER by method", _escapes(pages)),
        differences=differences(found),
        apart=apart(found),
        near={key: f"{100 * share:.0f}" for key, share in NEAR.items()},
        shown_from=f"{100 * SHOWN:.0f}",
        times=times_table(found),
        curves=drawn,
        without=_without(found, runs),
        settings=settings_table(pages),
        made=provenance(found),
        facts=FACTS,
        links={cell.key: (links or {}).get(cell.key) for cell in grid.cells},
        names={
            cell.key: runs[cell.key].folder.name if cell.key in runs else None
            for cell in grid.cells
        },
        places={key: number for number, panel in enumerate(drawn) for key in panel.keys},
    )


def _section(page: Sheet | Matrix) -> Section:
    if isinstance(page, Matrix):
        return Section(tally(page), matrix_table(page), None, True)
    return Section(tally(page), main_table(page), errors_table(page), False)


def _escapes(pages: Sequence[Sheet | Matrix]) -> go.Figure | None:
    return escapes([page for page in pages if isinstance(page, Sheet)])


def _without(found: Sequence[Entry], runs: Mapping[str, RunView]) -> str | None:
    """What to say of the finished cells of which there are no rounds."""
    keys = [s.cell.key for entry in found for s in entry.measured]
    lacking = sum(key not in runs for key in keys)
    if not keys or not lacking:
        return None
    return (
        f"{lacking} of {len(keys)} finished cells are known by their results alone: there "
        "is no run folder with their rounds, so they have no curve."
    )


def _curves(pages: Sequence[Sheet | Matrix], runs: Mapping[str, RunView]) -> list[Curves]:
    """A panel for every place that has a run folder."""
    panels: list[Curves] = []
    for page in pages:
        for title, group in _places(page):
            chosen = [
                (sample.cell, entry)
                for entry in group
                for sample in entry.samples
                if sample.cell.key in runs
            ]
            if chosen:
                seeds = {cell.config.seed for cell, _ in chosen}
                labels = [
                    method_text(entry)
                    + (f", seed {cell.config.seed}" if len(seeds) > 1 else "")
                    for cell, entry in chosen
                ]
                keys = tuple(cell.key for cell, _ in chosen)
                figure = curves([runs[key] for key in keys], labels)
                made = chart(f"curves-{len(panels)}", title, figure)
                panels.append(Curves(title, made, keys))
    return panels


def _places(page: Sheet | Matrix) -> list[tuple[str, list[Entry]]]:
    """Cells that differ in the method alone, with what they have in common."""
    groups: dict[str, list[Entry]] = {}
    for entry in page.entries:
        if isinstance(page, Matrix):
            parts = ["nobody attacks" if entry.clean else f"attack {entry.at['attack']}"]
        else:
            parts = [split_text(entry.at["nir"])]
        if "pdr" in entry.at and not (entry.clean and isinstance(page, Matrix)):
            parts.append(f"PDR {entry.at['pdr']} %")
        groups.setdefault(", ".join([page.title, *parts]), []).append(entry)
    return list(groups.items())
