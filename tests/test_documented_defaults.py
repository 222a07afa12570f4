"""The tables of the documents say what the code's defaults are, every one."""

import re
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fedward.attacks import ATTACKS, DBA
from fedward.defenses import DEFENSES

DOCS = Path(__file__).parents[1] / "docs"

WORDS: dict[str, Any] = {"true": True, "false": False, "none": None}

FORMULAS = {"", "(n-1)//2", "n-malicious", "clients / attackers"}
"""Where the default is None and the round decides; empty where words say how."""


def stated(document: str) -> dict[str, dict[str, Any]]:
    """Options and their defaults by name, as the table that has a column for them says."""
    text = (DOCS / document).read_text(encoding="utf-8")
    table = text[text.index("| name |") :].split("\n\n")[0]
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()
    ]
    column = header.index("defaults")
    found: dict[str, dict[str, Any]] = {}
    before: dict[str, Any] = {}
    for row in rows:
        cell = row[column]
        start = before if cell == "same" else {}
        if others := re.match(r"as `([\w-]+)`, but ", cell):
            start = found[others[1]]
        before = start | options(cell)
        found[row[0].strip("`")] = before
    return found


def options(cell: str) -> dict[str, Any]:
    """Of ``x=1`` and ``x=y=1`` in backticks."""
    settings = [code.split("=") for code in re.findall(r"`([^`]*=[^`]*)`", cell)]
    return {name: value(text) for *names, text in settings for name in names}


def value(text: str) -> Any:
    if text in FORMULAS:
        return None
    try:
        return WORDS[text] if text in WORDS else literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def actual(known: Mapping[str, type[Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {field.name: getattr(made(), field.name) for field in fields(made)}
        for name, made in known.items()
    }


def completed(
    table: dict[str, dict[str, Any]], known: Mapping[str, type[Any]], **said: Any
) -> dict[str, dict[str, Any]]:
    """With what the text above the table says of all that have such an option."""
    return {
        name: {k: v for k, v in said.items() if hasattr(known[name](), k)} | row
        for name, row in table.items()
    }


def test_the_table_of_defences_states_their_defaults() -> None:
    table = completed(stated("defenses.md"), DEFENSES, weighted=False)
    assert table == actual(DEFENSES)


def test_the_table_of_attacks_states_their_defaults() -> None:
    assert completed(stated("attacks.md"), ATTACKS, base=DBA()) == actual(ATTACKS)
