"""Settings are frozen, refuse unknown names, and say which names are known."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, ValidationError
from pydantic_core import ArgsKwargs

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""For ``pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)``."""


class UnknownName(ValueError):
    """A name that nobody knows; the message lists the known ones and the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listing = ", ".join(names) or "none"
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {listing}.")


def lookup(kind: str, name: Any, known: Mapping[str, T]) -> T:
    """The entry called ``name``.

    Raises:
        UnknownName: with the known names and the nearest one.
        ValueError: for what is no text.
    """
    if not isinstance(name, str):
        raise ValueError(f"{kind} needs a name, got {name!r}")
    if name not in known:
        raise UnknownName(kind, name, known)
    return known[name]


def build(kind: str, table: Any, known: Mapping[str, type[T]]) -> T:
    """A settings object from a table ``{"name": ..., option: value}`` or a bare name.

    An object of one of the known types is returned as it is. An option whose value is such
    a table itself, a list of them, or whose default is of a known type, is built first;
    there a table without a name changes the default.

    Raises:
        UnknownName: for an unknown name or option.
        ValueError: for a value that the option cannot have.
    """
    if isinstance(table, tuple(known.values())):
        return cast("T", table)
    if not isinstance(table, str | Mapping):
        raise ValueError(f"{kind} needs a name or a table, got {table!r}")
    options = {"name": table} if isinstance(table, str) else dict(table)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ValueError(f"{kind} needs a name; known: {', '.join(sorted(known))}")
    made = lookup(kind, name, known)
    defaults = {field.name: field.default for field in fields(made)}  # type: ignore[arg-type]
    for option, value in options.items():
        if option not in defaults:
            raise UnknownName(f"option of {kind} {name!r}:", option, defaults)
        if isinstance(defaults[option], tuple(known.values())):
            if isinstance(value, Mapping) and "name" not in value:
                value = {**as_table(kind, defaults[option], known), **value}
            options[option] = build(kind, value, known)
        else:
            options[option] = _built(kind, value, known)
    return made(**options)


def _built(kind: str, value: Any, known: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, Mapping) and "name" in value:
        return build(kind, value, known)
    if isinstance(value, list | tuple):
        return tuple(_built(kind, item, known) for item in value)
    return value


def as_table(kind: str, value: Any, known: Mapping[str, type[Any]]) -> dict[str, Any]:
    """The inverse of `build`: ``{"name": ..., option: value}`` with every option.

    Raises:
        UnknownName: if the object is of none of the known types.
    """
    for name, made in known.items():
        if type(value) is made:
            options = {field.name: getattr(value, field.name) for field in fields(value)}
            tables = {o: _tabled(kind, inner, known) for o, inner in options.items()}
            return {"name": name, **tables}
    raise UnknownName(kind, type(value).__name__, known)


def _tabled(kind: str, value: Any, known: Mapping[str, type[Any]]) -> Any:
    if type(value) in known.values():
        return as_table(kind, value, known)
    if isinstance(value, list | tuple):
        return [_tabled(kind, item, known) for item in value]
    return value


def in_words(error: Exception) -> str:
    """The error in one line; a settings error names each setting and what it got."""
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for found in error.errors():
        place = ".".join(str(part) for part in found["loc"]) or error.title
        # Of settings that do not fit together all are given, and the message says which;
        # an unknown name is in the message.
        cause = found.get("ctx", {}).get("error")
        whole = isinstance(found["input"], ArgsKwargs) or isinstance(cause, UnknownName)
        said = found["msg"].removeprefix("Value error, ")
        got = "" if whole or ", got " in said else f", got {found['input']!r}"
        lines.append(f"{place}: {said}{got}")
    return "; ".join(lines)
