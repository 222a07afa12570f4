"""``fedward report``: one HTML file of runs or of a grid, and a grid's tables."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Run folders, result files, or folders that hold them, however deep.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where the page goes [default: report.html].",
        ),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="The grid to lay results out on: table1, figure3, ablation, attacks, a "
            "TOML file, or 'found' for what there is."
        ),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Defences beside the grid's, comma or repeated."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Seeds of the grid, with commas [default: 0, or the file's]."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A row a run, as CSV.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as Parquet.")
    ] = None,
    latex: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tables for a paper (booktabs).")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Tables for a document.")
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say what was written as JSON, for machines.")
    ] = False,
) -> None:
    """Write one self-contained HTML page of runs or of a grid.

    The page opens from disk and needs no network. Run folders are compared side by side,
    unfinished ones too; put an unattacked run among them to see every attack success
    beside its floor.

    Other places, such as a folder of small result files or of folders of runs, become the
    page of a grid: its tables beside the paper's. With --grid it also says what is missing.
    --csv, --parquet, --latex and --markdown write the grid's tables instead of a page, to
    a file or with - to the terminal; with --out also the page.

    A damaged file or folder is named and left out, and the exit code is 1. Results that are
    no cells of the grid are counted and named too.

    For example: fedward report results --grid table1 --out table1.html --csv table1.csv
    """
    from fedward.cli.grid_report import Export, GridReport

    exports = [
        Export(kind, file)
        for kind, file in (
            ("csv", csv),
            ("parquet", parquet),
            ("latex", latex),
            ("markdown", markdown),
        )
        if file is not None
    ]
    page = out or (None if exports else Path("report.html"))
    as_grid = grid is not None or with_ or seeds is not None or exports
    if page is not None and not as_grid and are_runs(paths):
        said, facts = run_report(paths, page)
        left_out = [f"left out: {why}" for why in facts["broken"]]
    else:
        made = GridReport.of(paths, grid, with_ or [], seeds)
        said, facts = made.write(page, exports)
        left_out = made.left_out
    if as_json:
        typer.echo(json.dumps(facts))
    elif said:
        typer.echo(said)
    for line in left_out:
        typer.echo(line, err=True)
    if open_browser and page is not None:
        webbrowser.open(page.resolve().as_uri())
    if facts["broken"]:
        raise typer.Exit(1)


def are_runs(paths: list[Path]) -> bool:
    """Whether the places are run folders or directly hold some; a missing one counts."""
    from fedward.report.runs import BrokenRun, find_runs

    try:
        find_runs([path for path in paths if path.exists()])
    except BrokenRun:
        return False
    return True


def run_report(paths: list[Path], out: Path) -> tuple[str, dict[str, Any]]:
    """Write the report of runs; what to tell a person, and a machine.

    Raises:
        BrokenRun: if none can be read; it names the first.
        ValueError: if the page cannot be written.
    """
    from fedward.report.html import render
    from fedward.report.pages import write_page
    from fedward.report.runs import BrokenRun, find_runs, read_runs

    runs, broken = read_runs(find_runs(paths))
    if not runs:
        raise BrokenRun(broken[0])
    try:
        written = write_page(render(runs), out)
    except OSError as error:
        raise ValueError(f"the report cannot be written: {error}") from error
    said = f"Report of {len(runs)} run{'s' if len(runs) > 1 else ''}: {written}"
    return said, {"report": str(written), "runs": len(runs), "broken": broken}
