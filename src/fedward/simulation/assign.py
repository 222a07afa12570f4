"""A configuration as a table of plain values, changed by path, by name and by file."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fedward.simulation.config import RunConfig, from_table, to_table


def parse_value(text: str) -> Any:
    """A JSON value if it is one, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_named(text: Any, who: str = "a method") -> dict[str, Any]:
    """``name:option=value:option=value`` as a table.

    Raises:
        ValueError: if it is no text, or an option has no value.
    """
    if not isinstance(text, str):
        raise ValueError(f"{who} needs a name or name:option=value, got {text!r}")
    name, *options = text.split(":")
    return {"name": name, **dict(_assignment(option, text) for option in options)}


def _assignment(option: str, text: str) -> tuple[str, Any]:
    key, equals, value = option.partition("=")
    if not equals or not key:
        raise ValueError(f"{text!r} needs the form name:option=value, got {option!r}")
    return key, parse_value(value)


def put(table: dict[str, Any], path: str, value: Any) -> None:
    """Set ``a.b.c`` in nested tables; a bare name on the way becomes a table.

    Raises:
        ValueError: if the path leads through a value that is not a table.
    """
    *parents, last = path.split(".")
    for parent in parents:
        inner = table.get(parent)
        if inner is None:
            inner = {}
        if isinstance(inner, str):
            inner = {"name": inner}
        if not isinstance(inner, Mapping):
            raise ValueError(f"{path}: {parent} is {inner!r}, which has no parts")
        table[parent] = dict(inner)
        table = table[parent]
    table[last] = value


def assigned(base: RunConfig, sets: Iterable[str]) -> RunConfig:
    """A configuration with settings changed, each as ``path=value``.

    Raises:
        ValueError: naming what has another form, is unknown or out of range.
    """
    table = to_table(base)
    assign(table, sets)
    return from_table(table)


def assign(table: dict[str, Any], sets: Iterable[str]) -> None:
    """Set every ``path=value``.

    Raises:
        ValueError: if a text has another form.
    """
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set needs the form path=value, got {text!r}")
        put(table, path, parse_value(value))


def poison(table: dict[str, Any], share: float) -> None:
    """Set the poisoned share of the attack, or of what a wrapper attack wraps.

    Raises:
        ValueError: if there is no attack, or none that poisons.
    """
    attack = to_table(from_table({"attack": table.get("attack")}))["attack"]
    inner = poisoner(attack)
    if inner is None:
        name = None if attack is None else attack["name"]
        raise ValueError(f"PDR needs an attack that poisons images, got {name!r}")
    inner["pdr"] = share
    table["attack"] = attack


def poisoner(attack: dict[str, Any] | None) -> dict[str, Any] | None:
    """The attack itself, or the one that wrappers wrap, if it poisons images."""
    while attack is not None and "pdr" not in attack:
        attack = attack.get("base")
    return attack


def nir_partition(nir: str, base: RunConfig) -> dict[str, Any]:
    """The paper's non-IID rate: ``iid``, or the Dirichlet concentration in percent.

    The kind of Dirichlet split is that of ``base``.

    Raises:
        ValueError: if it is neither.
    """
    if nir.lower() == "iid":
        return {"name": "iid"}
    try:
        alpha = float(nir) / 100
    except ValueError:
        alpha = 0.0
    if alpha <= 0:
        raise ValueError(f"NIR needs 'iid' or a percentage above 0, got {nir!r}")
    return {**to_table(base)["partition"], "alpha": alpha}


def lay_over(table: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put every value of the second table over the first, table by table.

    A table that names another kind replaces the first one whole.
    """
    for name, value in over.items():
        held = table.get(name)
        if (
            isinstance(held, dict)
            and isinstance(value, Mapping)
            and value.get("name", held.get("name")) == held.get("name")
        ):
            lay_over(held, value)
        else:
            table[name] = value


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        ValueError: if it is missing or is not TOML, naming the file.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:  # UTF-8 that is none is one too
        raise ValueError(f"{file} is not TOML: {error}") from error
