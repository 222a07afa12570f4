"""A grid as one flat table, a row a run, for CSV and Parquet."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from fedward.report.grid_cells import Entry, Sample
from fedward.report.grid_facts import MADE_BY
from fedward.report.labels import flatten
from fedward.report.tables import METRICS
from fedward.simulation.config import to_table

AXES = ("dataset", "nir", "pdr", "attack", "defense")
"""Axes that every grid has; the others follow them."""

RECORD: Mapping[str, type[Any]] = {
    "seed": int,
    "key": str,
    "status": str,
    **dict.fromkeys(METRICS, float),
    "floor": float,
    "paper_ma": float,
    "paper_aasr": float,
    "paper_aer": float,
    "not_the_papers": str,
    "rounds": int,
    "seconds": float,
    "finished": str,
    **dict.fromkeys(MADE_BY, str),
    "params_sha256": str,
    "command": str,
}
"""Every column after the axes, and what its values are; shares are in [0, 1]."""

TOLD: Mapping[str, str] = {
    "partition.name": "nir",
    "partition.alpha": "nir",
    "attack.name": "attack",
    "attack.pdr": "pdr",
    "attackers.stop": "attack",
}
"""Settings that an axis tells, where each of its values stands for one of theirs."""


def records(found: Sequence[Entry]) -> list[dict[str, Any]]:
    """A row for every cell and seed, also for those that are missing.

    ``status`` is ``finished`` or ``missing``; what is undefined or unknown is None.
    ``floor`` is the clean twin's AASR, None if the attack stops before the run does;
    ``not_the_papers`` names the settings that differ from the protocol behind ``paper_ma``
    and ``paper_aasr``. Last come the settings that differ between rows and that no other
    column tells, as text under their paths, such as ``attackers.count``.
    """
    axes = list(dict.fromkeys([*AXES, *(axis for entry in found for axis in entry.at)]))
    samples = [(entry, sample) for entry in found for sample in entry.samples]
    places = [{axis: entry.at.get(axis) for axis in axes} for entry, _ in samples]
    settings = [dict(flatten(to_table(sample.cell.config))) for _, sample in samples]
    telling = _telling(places, settings)
    return [
        {**place, **_record(*sample), **{path: own.get(path) for path in telling}}
        for place, sample, own in zip(places, samples, settings, strict=True)
    ]


def _telling(
    places: Sequence[Mapping[str, str | None]], settings: Sequence[Mapping[str, str]]
) -> list[str]:
    """Paths of the settings that differ between rows and that no column tells."""
    paths = dict.fromkeys(path for own in settings for path in own)
    columns = {*RECORD, *(axis for place in places for axis in place)}

    def differs(path: str) -> bool:
        return len({own.get(path) for own in settings}) > 1

    def told(path: str) -> bool:
        # The column of the defence has every option that is not its default.
        if path in columns or path.startswith("defense."):
            return True
        if path not in TOLD:
            return False
        values = [place[TOLD[path]] for place in places]
        pairs = {(v, own.get(path)) for v, own in zip(values, settings, strict=True)}
        return len(pairs) == len(set(values))

    return [path for path in paths if differs(path) and not told(path)]


def _record(entry: Entry, sample: Sample) -> dict[str, Any]:
    result = sample.result or {}
    made = result.get("provenance", {})
    theirs, stated = entry.published, entry.stated
    return {
        "seed": sample.cell.config.seed,
        "key": sample.cell.key,
        "status": "missing" if sample.result is None else "finished",
        **{key: sample.share(key) for key in METRICS},
        "floor": sample.floor,
        "paper_ma": None if theirs is None else theirs.ma,
        "paper_aasr": None if theirs is None else theirs.aasr,
        "paper_aer": None if stated is None else stated.aer,
        "not_the_papers": "; ".join(entry.deviations) or None,
        "rounds": sample.cell.config.rounds,
        **{name: result.get(name) for name in ("seconds", "finished")},
        **{name: _text(made.get(name)) for name in MADE_BY},
        "params_sha256": result.get("params_sha256"),
        "command": _text(made.get("command")),
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Comma-separated values with a heading; None is an empty field.

    Numbers are written in full: reading them gives the same floats.
    """
    out = io.StringIO()
    writer = csv.DictWriter(
        out, list(rows[0]) if rows else list(RECORD), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A Parquet file, with a type for every column even if all of it is unknown.

    Raises:
        ValueError: if pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(
            "Parquet needs pyarrow, which is not installed: pip install 'fedward[tables]'"
        ) from error
    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    names = list(rows[0]) if rows else list(RECORD)
    schema = pyarrow.schema([(name, kinds[RECORD.get(name, str)]) for name in names])
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), buffer)
    return buffer.getvalue()
