"""``fedward bench``: a grid of runs as one command that can be stopped and repeated."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fedward.bench.grid import Grid

BENCH_HELP = """Run a grid: the paper's Table I, its Fig. 3, two of our own, or a file's.

GRID is table1, figure3, ablation, attacks, or a TOML file with the axes of your own. Every
cell is a run folder like those of 'fedward run'. Repeat the command after whatever stopped
it: a finished cell is never run again, a half-finished one resumes bit for bit. A cell that
fails is reported at the end and stops no other.

Examples:

  fedward bench table1 --dry-run --only dataset=mnist,nir=25

  fedward bench table1 --with fedavg --seeds 0,1,2 --shard 2/8 --results results

  fedward bench mine.toml --jobs 4
"""


def bench(
    grid: Annotated[
        str, typer.Argument(help="table1, figure3, ablation, attacks, or a TOML file.")
    ],
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Defences beside the grid's, comma or repeated."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds with commas [default: 0, or the file's].")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Cells with these values, such as dataset=mnist,nir=25."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="One part of several, such as 2/8.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="A preset in place of the grid's own.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of every cell, such as rounds=20."),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of all run folders.")] = Path("runs"),
    results: Annotated[
        Path | None,
        typer.Option(help="Also write every result as a small file to RESULTS/GRID."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Cells side by side [default: one a CPU, or a GPU]."),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="local: processes of this machine; ray; dask.")
    ] = "local",
    cluster: Annotated[
        str | None, typer.Option(help="Address of the Ray or Dask cluster.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="Engine that trains [default: best for the device].")
    ] = None,
    stack: Annotated[
        int,
        typer.Option(min=1, help="Cells that --engine stacked trains in the same steps."),
    ] = 1,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = "cpu",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where data sets are looked for first.")
    ] = None,
    share: Annotated[
        bool, typer.Option(help="Train the rounds that cells have in common once.")
    ] = True,
    track: Annotated[
        list[str] | None,
        typer.Option(help="Also write curves to RUNS for tensorboard or mlflow."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and the time left, and stop.")
    ] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="Write results that are there, run nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON, nothing else.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """See `BENCH_HELP`."""
    from fedward.bench.selection import parse_only, parse_shard, select, shard as dealt
    from fedward.bench.work import Bench
    from fedward.cli.grid_run import GridRun
    from fedward.cli.run import parse_device

    if collect and results is None:
        raise ValueError("--collect needs --results, the folder to write to")
    chosen = chosen_grid(grid, with_ or [], seeds, base, set_ or [])
    cells = select(chosen.cells, parse_only(only or []))
    if shard is not None:
        cells = dealt(cells, *parse_shard(shard))
    run = GridRun(
        grid=chosen,
        cells=cells,
        bench=Bench(
            runs=runs.absolute(),
            data_dir=None if data_dir is None else data_dir.absolute(),
            engine=engine,
            device=parse_device(device),
            stack=stack,
            share=share,
            command=shlex.join(("fedward", *sys.argv[1:])),
        ),
        results=results,
        track=tuple(track or ()),
        jobs=jobs,
        backend=backend,
        cluster=cluster,
        quiet=quiet or as_json,
    )
    for why in run.broken:
        print(f"left alone: {why}", file=sys.stderr)
    if dry_run:
        run.show(as_json)
        return
    run.collect()
    if not collect:
        run.execute()
    run.print_outcome(as_json)
    if run.failed:
        raise typer.Exit(1)


def chosen_grid(
    name: str,
    extra: Sequence[str],
    seeds: str | None,
    base: str | None,
    sets: Sequence[str],
) -> "Grid":
    """The grid of a name or of a file, as the options have it.

    Raises:
        UnknownName: for a name that does not exist, with the nearest that does.
        ValueError: for a file that is no grid.
    """
    from fedward.bench.grid_file import read_grid
    from fedward.bench.grids import GRIDS, Wishes
    from fedward.cli.run import parse_seeds
    from fedward.settings import lookup

    methods = [part for text in extra for part in text.split(",") if part]
    numbers = None if seeds is None else parse_seeds(seeds, "--seeds")
    if name.endswith(".toml"):
        if base is not None or sets:
            raise ValueError(f"--base and --set are not for a grid of a file; edit {name}")
        return read_grid(Path(name), numbers or (), methods)
    make = lookup("grid", name, GRIDS)
    return make(Wishes(methods, numbers or (0,), base, sets))
