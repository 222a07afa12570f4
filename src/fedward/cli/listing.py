"""``fedward list``: every name that the other commands take, and where it comes from."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

KINDS = (
    "datasets",
    "models",
    "partitions",
    "attacks",
    "attack presets",
    "defenses",
    "defense presets",
    "presets",
)

ALSO = {"attacks": "attack presets", "defenses": "defense presets"}
"""Other names that the same options take."""


def list_names(
    kind: Annotated[
        str | None, typer.Argument(help="Only one kind, such as 'defenses'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List data sets, models, partitions, attacks, defences and presets, with sources."""
    from rich.console import Console
    from rich.table import Table

    from fedward.settings import lookup

    rows = everything()
    chosen = rows if kind is None else {kind: lookup("kind", kind, rows)}
    if kind in ALSO:
        chosen[ALSO[kind]] = rows[ALSO[kind]]
    if as_json:
        print(json.dumps(chosen, indent=2))
        return
    console = Console()
    for title, entries in chosen.items():
        table = Table(title=title.capitalize(), title_justify="left", show_header=False)
        for _ in range(3):
            table.add_column(overflow="fold")  # a link that is cut leads nowhere
        for entry in entries:
            table.add_row(entry["name"], entry["title"], entry["source"])
        console.print(table)


def everything() -> dict[str, list[dict[str, str]]]:
    """Name, title and source of every entry, by kind."""
    from fedward.attacks import ATTACK_PRESETS, ATTACKS, NOT_SHOWN
    from fedward.data.partition import PARTITIONS
    from fedward.data.sources import DATASETS
    from fedward.defenses import DEFENSE_PRESETS, DEFENSES
    from fedward.models import MODELS
    from fedward.simulation.presets import PRESETS

    return {
        "datasets": [entry(n, d.title, d.source) for n, d in DATASETS.items()],
        "models": [
            entry(n, f"{m.title}; {m.params:,} parameters", m.source)
            for n, m in MODELS.items()
        ],
        "partitions": [documented(n, made) for n, made in PARTITIONS.items()],
        "attacks": [marked(documented(n, a), NOT_SHOWN) for n, a in ATTACKS.items()],
        "attack presets": [entry(n, str(a), "") for n, a in ATTACK_PRESETS.items()],
        "defenses": [documented(n, made) for n, made in DEFENSES.items()],
        "defense presets": [entry(n, str(d), "") for n, d in DEFENSE_PRESETS.items()],
        "presets": [entry(n, p.title, "") for n, p in PRESETS.items()],
    }


def entry(name: str, title: str, source: str) -> dict[str, str]:
    """One row."""
    return {"name": name, "title": title, "source": source}


def documented(name: str, made: type[Any]) -> dict[str, str]:
    """A row from the docstrings: the class's first line, and the paper its module cites."""
    title = (inspect.getdoc(made) or "").split("\n\n")[0].replace("\n", " ")
    return entry(name, title, citation(made))


def marked(row: dict[str, str], not_shown: Mapping[str, str]) -> dict[str, str]:
    """The row, saying so if no recorded experiment shows that it works."""
    why = not_shown.get(row["name"])
    return row if why is None else {**row, "title": f"{row['title']} NOT SHOWN: {why}."}


def citation(made: type[Any]) -> str:
    """The first paragraph that cites a title (``*...*``), of the class or of its module."""
    module = inspect.getdoc(inspect.getmodule(made)) or ""
    for text in (inspect.getdoc(made) or "", module):
        for paragraph in text.split("\n\n"):
            flat = " ".join(paragraph.split())
            if flat.count("*") >= 2:
                return flat.replace("*", "")
    return ""
