"""Names that tell runs apart, and settings as text."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fedward.report.runs import RunView


def label_runs(runs: Sequence[RunView]) -> list[str]:
    """A name for each run that no other has; settings tell runs of one name apart."""
    labels = [run.name for run in runs]
    for name in {name for name in labels if labels.count(name) > 1}:
        alike = [i for i, run in enumerate(runs) if run.name == name]
        flats = [dict(flatten(runs[i].config)) for i in alike]
        keys = dict.fromkeys(itertools.chain.from_iterable(flats))
        telling = [key for key in keys if len({flat.get(key) for flat in flats}) > 1]
        for i, flat in zip(alike, flats, strict=True):
            told = [f"{key} {flat[key]}" for key in telling[:3] if key in flat]
            labels[i] = ", ".join([name, *told])
    for i, label in enumerate(labels):
        if labels.count(label) > 1:
            labels[i] = f"{label} ({runs[i].folder.resolve().name}, {i + 1})"
    return labels


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """The leaves of a nested table as ``("part.option", text)``, in order."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _as_text(value)


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
