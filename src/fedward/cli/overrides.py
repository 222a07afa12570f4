"""What the command line says, as one configuration."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedward.settings import lookup
from fedward.simulation.assign import (
    assign,
    lay_over,
    parse_named,
    poison,
    put,
    read_toml,
)
from fedward.simulation.config import RunConfig, from_table, to_table
from fedward.simulation.presets import PRESETS


def starting_point(preset: str | None) -> RunConfig:
    """The preset's configuration, or the defaults.

    Raises:
        UnknownName: with the presets that there are.
    """
    return lookup("preset", preset, PRESETS).config if preset else RunConfig()


def configurations(
    preset: str | None,
    file: Path | None,
    settings: Mapping[str, Any],
    sets: Sequence[str],
    defenses: Sequence[str],
    seeds: Iterable[int],
) -> list[RunConfig]:
    """One configuration for every seed and defence, in that order.

    A preset is the start, a TOML file is laid over it, then the named options, then
    ``--set``.

    Raises:
        ValueError: naming what is unknown or out of range.
    """
    table = to_table(starting_point(preset))
    if file is not None:
        lay_over(table, read_toml(file))
    for path, value in settings.items():
        if value is not None and path == "attack.pdr":
            poison(table, value)
        elif value is not None:
            put(table, path, value)
    assign(table, sets)
    names = [name for text in defenses for name in text.split(",") if name]
    choices = [parse_named(name) for name in names] or [table["defense"]]
    return [
        from_table({**table, "seed": seed, "defense": defense})
        for seed in seeds
        for defense in choices
    ]
