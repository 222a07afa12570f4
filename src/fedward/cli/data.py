"""``fedward data``: a data set, and which client would hold what of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from jaxtyping import Int64
    from rich.table import Table
    from torch import Tensor

    from fedward.data.images import Dataset
    from fedward.data.partition import Partition

SHOWN = 30
"""More clients than these are shown by the first and last ten and by statistics."""
ENDS = 10
LEVELS = "\N{MIDDLE DOT}▁▂▃▄▅▆▇█"
BAR_CELLS = 12
EIGHTHS = " ▏▎▍▌▋▊▉"


DATA_HELP = """Show a data set and which client would hold how many images of which class.

The partition is the one that 'fedward run' draws with the same settings and seed. Each
row is a client: its images, the class it has most of, and a column of height for every
class in the order of the labels, a dot where it has none. Rarity is how far a client's
classes are from everybody's together, from 0 (typical) to 1 (nobody else's).

Examples:

  fedward data

  fedward data mnist --partition dirichlet --alpha 0.25 --plot shares.html

  fedward data fashion-mnist --partition grouped --q 0.5 --clients 20 --seed 7
"""


def data(
    name: Annotated[
        str, typer.Argument(help="Data set, see 'fedward list datasets'.")
    ] = "mnist-small",
    partition: Annotated[
        str,
        typer.Option(
            help="iid, dirichlet, dirichlet-authors, grouped or main-label; options may "
            "follow, as in dirichlet:alpha=0.5:min_size=10."
        ),
    ] = "dirichlet:alpha=0.5",
    alpha: Annotated[
        float | None,
        typer.Option(help="Dirichlet concentration; small is uneven. NIR 25 % is 0.25."),
    ] = None,
    min_size: Annotated[
        int | None, typer.Option(help="dirichlet: fewest images a client may have.")
    ] = None,
    q: Annotated[
        float | None,
        typer.Option(help="grouped: share of a class that goes to its own group."),
    ] = None,
    degree: Annotated[
        float | None,
        typer.Option(help="main-label: share of a client's images from its main class."),
    ] = None,
    clients: Annotated[int, typer.Option(help="How many clients.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the partition.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data set is looked for first.")
    ] = None,
    download: Annotated[
        bool, typer.Option(help="Use the network if the data set is not on this machine.")
    ] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Write the bars of all clients to this HTML file.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every client, not only the first and last ten.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, nothing else.")
    ] = False,
) -> None:
    """See `DATA_HELP`."""
    from fedward.data.partition import class_mix
    from fedward.data.sources import load

    given = {"alpha": alpha, "min_size": min_size, "q": q, "degree": degree}
    chosen = chosen_partition(partition, {k: v for k, v in given.items() if v is not None})
    loaded = load(name, data_dir, download)
    labels, classes = loaded.train.labels, loaded.classes
    shards = chosen(labels, len(classes), clients, seed)
    mix = class_mix(shards, labels, len(classes))
    title = f"{described(chosen)}, {clients} clients, seed {seed}"
    if plot:
        from fedward.report.partition_plot import write_partition_plot

        write_partition_plot(mix, classes, f"{name}, {title}", plot)
    if as_json:
        print(json.dumps(as_object(loaded, chosen, mix, seed, plot), indent=2))
    else:
        show(loaded, title, mix, all_)
        if plot:
            print(f"Bars of all clients: {plot}")


def chosen_partition(text: str, options: dict[str, Any]) -> "Partition":
    """The partition of ``name:option=value:...`` with further options laid over it.

    Raises:
        UnknownName: for an unknown name or option.
        ValueError: for an option that is missing or out of range.
    """
    from pydantic import ValidationError

    from fedward.data.partition import PARTITIONS
    from fedward.settings import build
    from fedward.simulation.assign import parse_named

    table = {**parse_named(text), **options}
    try:
        return build("partition", table, PARTITIONS)
    except ValidationError as error:
        missing = [e["loc"][0] for e in error.errors() if e["type"] == "missing"]
        if not missing:
            raise
        raise ValueError(
            f"the partition {table['name']} needs {missing[0]}, such as --{missing[0]} 0.5"
        ) from error


def described(chosen: "Partition") -> str:
    """The name of a partition and its options, in words."""
    from fedward.data.partition import PARTITIONS
    from fedward.settings import as_table

    table = as_table("partition", chosen, PARTITIONS)
    name = table.pop("name")
    options = ", ".join(f"{option} {value:g}" for option, value in table.items())
    return f"{name} ({options})" if options else str(name)


def as_object(
    loaded: "Dataset",
    chosen: "Partition",
    mix: "Int64[Tensor, 'clients classes']",
    seed: int,
    plot: Path | None,
) -> dict[str, Any]:
    """Everything that is shown, and every client, for machines."""
    from fedward.data.partition import PARTITIONS, rarity
    from fedward.settings import as_table

    rows = zip(mix.tolist(), rarity(mix).tolist(), strict=True)
    return {
        "dataset": loaded.name,
        "train": len(loaded.train),
        "test": len(loaded.test),
        "shape": loaded.train.shape,
        "classes": loaded.classes,
        "partition": as_table("partition", chosen, PARTITIONS),
        "seed": seed,
        "held": int(mix.sum()),
        "clients": [
            {"client": client, "images": sum(counts), "rarity": rare, "mix": counts}
            for client, (counts, rare) in enumerate(rows)
        ],
        "statistics": statistics(mix),
        "plot": None if plot is None else str(plot),
    }


def statistics(mix: "Int64[Tensor, 'clients classes']") -> dict[str, dict[str, float]]:
    """Minimum, mean, maximum and standard deviation over clients of what a row says."""
    from fedward.data.partition import rarity

    held = mix.sum(dim=1).double()
    measured = {
        "images": held,
        "share of the largest class": mix.max(dim=1).values / held.clamp(min=1),
        "classes held": (mix > 0).sum(dim=1).double(),
        "rarity": rarity(mix),
    }
    return {
        name: {
            "min": float(values.min()),
            "mean": float(values.mean()),
            "max": float(values.max()),
            "sd": float(values.std(correction=0)),
        }
        for name, values in measured.items()
    }


def show(
    loaded: "Dataset", title: str, mix: "Int64[Tensor, 'clients classes']", every: bool
) -> None:
    """Print the data set, the clients and the statistics."""
    from rich.console import Console

    console = Console(highlight=False)
    shape = " x ".join(map(str, loaded.train.shape))
    console.print(
        f"{loaded.name}: {len(loaded.train):,} training and {len(loaded.test):,} test "
        f"images of {shape}, {len(loaded.classes)} classes"
    )
    names = [f"{label} {name}" for label, name in enumerate(loaded.classes)]
    if list(loaded.classes) != [str(label) for label in range(len(loaded.classes))]:
        console.print("Classes: " + ", ".join(names))
    held, images = int(mix.sum()), len(loaded.train)
    used = "all images used" if held == images else f"{held:,} images used"
    console.print(f"{title}: {used}")
    count = len(mix)
    whole = every or count <= SHOWN
    first = range(count) if whole else range(ENDS)
    last = range(count if whole else count - ENDS, count)
    console.print(client_table(mix, loaded.classes, first, last))
    console.print(statistics_table(mix))
    if not whole:
        console.print(f"{count - 2 * ENDS} clients are not shown; --all shows every one.")


def client_table(
    mix: "Int64[Tensor, 'clients classes']",
    classes: tuple[str, ...],
    first: range,
    last: range,
) -> "Table":
    """One row for each of the first and the last clients."""
    from rich.table import Table
    from rich.text import Text

    from fedward.data.partition import rarity

    held, rare = mix.sum(dim=1).tolist(), rarity(mix).tolist()
    table = Table()
    table.add_column("client", justify="right")
    table.add_column("images", justify="right")
    table.add_column("", width=BAR_CELLS, no_wrap=True)
    table.add_column("most of", no_wrap=True)
    table.add_column(
        "".join(str(label % 10) for label in range(len(classes))), no_wrap=True
    )
    table.add_column("rarity", justify="right")

    def add(client: int) -> None:
        counts = mix[client].tolist()
        label = counts.index(max(counts))
        share = counts[label] / max(held[client], 1)
        table.add_row(
            str(client),
            f"{held[client]:,}",
            bar(held[client] / max(held)),
            Text(f"{classes[label]} ({share:.0%})") if held[client] else "-",
            columns(counts),
            f"{rare[client]:.2f}",
        )

    for client in first:
        add(client)
    if last:
        table.add_row(*["..."] * 6)
    for client in last:
        add(client)
    return table


def statistics_table(mix: "Int64[Tensor, 'clients classes']") -> "Table":
    """The statistics, one a row."""
    from rich.table import Table

    found = statistics(mix)
    table = Table("over clients", *next(iter(found.values())))
    for name, values in found.items():
        digits = 1 if values["max"] > 1 else 2
        table.add_row(name, *(f"{value:,.{digits}f}" for value in values.values()))
    return table


def bar(share: float) -> str:
    """A bar of ``BAR_CELLS`` cells for a share of 1, in steps of an eighth of a cell."""
    eighths = round(share * BAR_CELLS * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def columns(counts: list[int]) -> str:
    """A column for every class, as high as its share of the client's images.

    Eight heights, rounded up, so that only a class of which there is nothing has none.
    """
    total = max(sum(counts), 1)
    return "".join(LEVELS[-(-count * 8 // total)] for count in counts)
