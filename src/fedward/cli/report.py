"""``fedward report``: one HTML file out of run folders."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Run folders, or folders that hold run folders."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the report goes.")
    ] = Path("report.html"),
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the report in the browser.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say where it is as JSON, for machines.")
    ] = False,
) -> None:
    """Write one self-contained HTML report of the runs; unfinished runs are welcome.

    The file opens from disk and needs no network. Several runs are compared side by side;
    put an unattacked run among them to see every attack success beside its floor.
    """
    from fedward.report.html import write_report
    from fedward.report.runs import find_runs

    folders = find_runs(runs)
    try:
        written = write_report(folders, out)
    except OSError as error:
        raise ValueError(f"the report cannot be written: {error}") from error
    if as_json:
        typer.echo(json.dumps({"report": str(written), "runs": len(folders)}))
    else:
        plural = "s" if len(folders) > 1 else ""
        typer.echo(f"Report of {len(folders)} run{plural}: {written}")
    if open_browser:
        webbrowser.open(written.resolve().as_uri())
