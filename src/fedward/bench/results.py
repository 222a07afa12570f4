"""Finished results on disk: run folders, and small JSON files that can be committed."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedward.bench.grid import NOBODY, Cell, Grid
from fedward.settings import in_words
from fedward.simulation.config import from_table
from fedward.simulation.folder import as_json, replace_file, wrong_result

PATHS = ("--runs", "--results", "--report", "--data-dir", "--config", "--log", "--cluster")
"""Options that name places on the machine that ran a command, or in its network."""


@dataclass(frozen=True)
class Scan:
    """What was found in some places.

    Attributes:
        results: every finished result by its key; of two with one key the later.
        broken: by name, what is wrong with a file, or a line of one, that holds none.
    """

    results: Mapping[str, dict[str, Any]]
    broken: Mapping[str, str]


def read_results(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Every finished result in these places, as `scan_results` finds them.

    Raises:
        ValueError: if a place does not exist or a file holds something else; it is named.
    """
    scan = scan_results(paths)
    for said in scan.broken.values():
        raise ValueError(said)
    return dict(scan.results)


def scan_results(paths: Iterable[Path]) -> Scan:
    """Every finished result in these places, and what ought to be one and is not.

    A place is a run folder, a file with one result (``.json``) or one a line (``.jsonl``),
    or a folder that holds any of these, however deep. Unfinished runs are passed over, and
    so are tables in a folder that have none of a result's fields, such as timings.
    The key is computed anew, so that results outlive settings that are added later.

    Raises:
        ValueError: if a place does not exist.
    """
    found: dict[str, dict[str, Any]] = {}
    broken: dict[str, str] = {}
    for path in paths:
        if not path.exists():
            raise ValueError(f"no results at {path}: it does not exist")
        for file, text in _texts(path):
            if path.is_dir() and _of_another_kind(text):
                continue
            try:
                key, result = _result(text)
                found[key] = result
            except (ValueError, TypeError, RecursionError) as error:
                broken[file] = f"{file} does not hold a result: {in_words(error)}"
    return Scan(found, broken)


def _texts(path: Path) -> Iterator[tuple[str, bytes | OSError]]:
    """Name and content of every result at a place, or why it cannot be read."""
    try:
        if path.suffix == ".jsonl" and not path.is_dir():
            for number, line in enumerate(path.read_bytes().splitlines(), start=1):
                yield f"{path}, line {number}", line
        elif path.suffix == ".json" and not path.is_dir():
            yield str(path), path.read_bytes()
        elif (path / "config.json").exists():
            if (path / "result.json").exists():
                yield from _texts(path / "result.json")
        elif path.is_dir():
            for inner in sorted(path.iterdir()):
                if not inner.name.startswith("."):
                    yield from _texts(inner)
    except OSError as error:
        yield str(path), error


def _of_another_kind(text: bytes | OSError) -> bool:
    """Whether it is a table that nobody could mean as a result."""
    try:
        table = json.loads(text) if isinstance(text, bytes) else None
    except (ValueError, RecursionError):
        return False
    return (
        bool(table) and isinstance(table, dict) and not {"config", "metrics"} & set(table)
    )


def _result(text: bytes | OSError) -> tuple[str, dict[str, Any]]:
    if isinstance(text, OSError):
        raise ValueError(f"it cannot be read: {text.strerror or text}")
    result = json.loads(text)
    wrong = wrong_result(result)
    if wrong is None and result["rounds"] < 1:
        wrong = f"rounds needs to be at least 1, got {result['rounds']}"
    if wrong is not None:
        raise ValueError(wrong)
    return from_table(result["config"]).key, result


def write_result(path: Path, result: Mapping[str, Any]) -> None:
    """Write one result as a small file, its folders made.

    Options of its command that name places on this machine are left out.
    """
    provenance = dict(result["provenance"])
    if provenance.get("command"):
        provenance["command"] = without_places(provenance["command"])
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, as_json({**result, "provenance": provenance}))


def file_names(grid: Grid) -> dict[str, str]:
    """A file name for every key of a grid; the key is in it where the axes do not suffice.

    They do not for the clean twins of several attacks, whose triggers differ.
    """
    names = {cell.key: file_name(cell) for cell in grid.cells}
    times = Counter(names.values())
    return {
        key: f"{name}.json" if times[name] == 1 else f"{name}-{key}.json"
        for key, name in names.items()
    }


def file_name(cell: Cell) -> str:
    """``mnist-nir25-pdr46.875-fedward-seed0``, from the cell's place on the axes.

    The attack is named unless it is the paper's; a twin is called ``clean``.
    """
    at = dict(cell.at)
    parts = [at.pop("dataset"), "nir" + at.pop("nir")]
    parts += ["pdr" + at.pop("pdr")] if "pdr" in at else []
    attack, defense, seed = at.pop("attack"), at.pop("defense"), at.pop("seed")
    parts += [attack] if attack not in ("dba", NOBODY) else []
    parts.append("clean" if (attack, defense) == (NOBODY, "fedavg") else defense)
    parts += [f"{axis}{value}" for axis, value in at.items()]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join([*parts, f"seed{seed}"]))


def without_places(command: str) -> str:
    """A command without the options in `PATHS`, a grid's file without its folders."""
    kept: list[str] = []
    words = iter(shlex.split(command))
    for word in words:
        if word in PATHS:
            next(words, None)
        elif word.partition("=")[0] not in PATHS:
            kept.append(Path(word).name if word.endswith(".toml") else word)
    return shlex.join(kept)
