"""What the command line says, as one configuration."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedward.settings import lookup
from fedward.simulation.assign import (
    assign,
    lay_over,
    nir_partition,
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
    seeds: Iterable[int] | None,
    fallback: Sequence[str] = (),
) -> list[RunConfig]:
    """One configuration for every seed and defence, in that order.

    A preset is the start, a TOML file is laid over it, then the named options, then
    ``--set``.

    Args:
        settings: by path; ``nir`` stands for the partition with that non-IID rate.
        seeds: None for the one that preset, file or ``--set`` say.
        fallback: defences where nobody says which.

    Raises:
        ValueError: naming what is unknown or out of range, or said twice.
    """
    table, written = to_table(starting_point(preset)), {}
    if file is not None:
        written = read_toml(file)
        lay_over(table, written)
    for path, value in settings.items():
        if value is not None and path == "attack.pdr":
            poison(table, value)
        elif value is not None and path == "nir":
            table["partition"] = nir_partition(value, from_table(table))
        elif value is not None:
            put(table, path, value)
    assign(table, sets)
    said = {text.partition("=")[0].partition(".")[0] for text in sets}
    if "defense" in said and defenses:
        raise ValueError(
            "--defense and --set defense... exclude each other; give a defence its options "
            "as --defense name:option=value"
        )
    if "seed" in said and seeds is not None:
        raise ValueError("--seed and --set seed=... exclude each other")
    if not defenses and "defense" not in said | set(written):
        defenses = fallback
    names = [name for text in defenses for name in text.split(",") if name]
    choices = [parse_named(name) for name in names] or [table["defense"]]
    return [
        from_table({**table, "seed": seed, "defense": defense})
        for seed in ([table["seed"]] if seeds is None else seeds)
        for defense in choices
    ]
