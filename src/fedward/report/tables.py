"""What the report says in text: metrics beside the clean model's, settings, provenance.

Every number is the one in the run's store, formatted; nothing is measured here but the
clean model's floor over another run's attacked rounds.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from fedward.report.labels import flatten
from fedward.report.palette import DASH
from fedward.report.runs import Metric, RunView

METRICS: Mapping[str, tuple[str, str]] = {
    "ma_final": ("MA, final", "Accuracy on the clean test set after the last round"),
    "ma_last10": ("MA, last 10", "Mean accuracy over the last ten rounds"),
    "aasr": ("AASR", "Attack success averaged over all attacked rounds"),
    "aasr_from_10": ("AASR from 10", "The same over rounds 10 and on, the authors' window"),
    "asr_final": ("ASR, final", "Attack success after the last round"),
    "aer": ("AER", "Attackers admitted, of the attackers taking part in attacked rounds"),
    "brr": ("BRR", "Honest clients rejected, of the honest clients taking part"),
    "brr_attacked": ("BRR attacked", "BRR over rounds in which someone attacked"),
    "brr_unattacked": ("BRR unattacked", "BRR over rounds in which nobody attacked"),
    "brr_rare": ("BRR rare", "BRR of the quarter of clients whose classes are rarest"),
    "held": ("Held", "Rounds in which the model was kept as it was, of those defended"),
}
"""Key in the store, heading, and meaning, in the order of the columns."""


@dataclass(frozen=True)
class Heading:
    """A column's or row's title, and what it means."""

    text: str
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """One value as text; the note is the clean model's value of the same."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table; ``differs`` says that its cells are not all the same."""

    heading: Heading
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Whether not all cells read the same."""
        return len({cell.text for cell in self.cells}) > 1


@dataclass(frozen=True)
class Table:
    """Headings of the columns, the rows' own heading first."""

    columns: tuple[Heading, ...]
    rows: tuple[Row, ...]


def percent(share: float | None) -> str:
    """A share in [0, 1] as ``"93.10 %"``, unbreakable, or a dash where it is undefined."""
    if share is None or not math.isfinite(share):
        return DASH
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def last_asr(run: RunView) -> float | None:
    """Attack success in the last round that measured it."""
    measured = [r.asr[run.headline] for r in run.rounds if run.headline in r.asr]
    return measured[-1] if measured else None


def last_ma(run: RunView) -> float | None:
    """Accuracy in the last round that measured it."""
    measured = [record.ma for record in run.rounds if record.ma is not None]
    return measured[-1] if measured else None


def metric(run: RunView, key: str) -> Metric:
    """A metric of a finished run; of an unfinished one only its last MA and ASR."""
    if run.result is not None:
        return run.result.metrics.get(key)
    return {"ma_final": last_ma(run), "asr_final": last_asr(run)}.get(key)


def share(run: RunView, key: str) -> float | None:
    """The metric where it is one number."""
    value = metric(run, key)
    return None if isinstance(value, Mapping) else value


def find_clean(run: RunView, runs: Sequence[RunView]) -> RunView | None:
    """The unattacked run most like this one, on the same data, that measured the ASR.

    None for a run that is itself unattacked, or where there is no such run.
    """
    own = dict(flatten(run.config))
    alike = [
        (sum(own.get(key) == text for key, text in flatten(other.config)), -place, other)
        for place, other in enumerate(runs)
        if other.clean
        and other.config.get("dataset") == run.config.get("dataset")
        and last_asr(other) is not None
    ]
    if run.clean or not alike:
        return None
    return max(alike, key=lambda candidate: candidate[:2])[2]


def floor(run: RunView, runs: Sequence[RunView], key: str) -> float | None:
    """What an ASR of this run would be with no attack, from the clean run most like it.

    The clean run's mean over the same rounds as this run's; the one in its own store is
    over all rounds to the end, which an attack that stops before it leaves out.
    """
    clean = find_clean(run, runs)
    if clean is None or not key.startswith(("asr", "aasr")):
        return None
    if key == "asr_final":
        return share(clean, key)
    rounds = _averaged(run, key)
    measured = [
        record.asr[clean.headline]
        for record in clean.rounds
        if record.round in rounds and clean.headline in record.asr
    ]
    return fmean(measured) if measured else None


def _averaged(run: RunView, key: str) -> set[int]:
    """The rounds that a mean ASR of the run is over."""
    measured = {record.round for record in run.rounds if record.asr}
    if key.startswith("aasr_from_"):
        first = int(key.removeprefix("aasr_from_"))
        return {number for number in measured if number >= first}
    attackers = run.config.get("attackers")
    if not isinstance(attackers, Mapping):
        return measured.intersection(run.attacked_rounds)
    start, stop = attackers.get("start") or 0, attackers.get("stop")
    return {n for n in measured if n >= start and (stop is None or n < stop)}


def metrics_table(runs: Sequence[RunView], labels: Sequence[str]) -> Table:
    """A row a run: every metric of the store that is one number."""
    keys = [key for key in METRICS if any(share(run, key) is not None for run in runs)]
    for run in runs:
        stored = run.result.metrics if run.result else {}
        keys += [k for k, v in stored.items() if k not in METRICS and k not in keys
                 and not isinstance(v, Mapping)]  # fmt: skip
    rows = []
    for run, label in zip(runs, labels, strict=True):
        cells = [Cell(progress(run))]
        for key in keys:
            low = floor(run, runs, key)
            note = "" if low is None else f"floor {percent(low)}"
            cells.append(Cell(_value(key, share(run, key)), note))
        rows.append(Row(Heading(label), tuple(cells)))
    columns = [Heading("Run"), Heading("Rounds", "Rounds done, of those planned")]
    columns += [Heading(*METRICS.get(key, (key,))) for key in keys]
    return Table(tuple(columns), tuple(rows))


def meanings(table: Table) -> list[tuple[str, str]]:
    """Name and meaning of the metrics that this `metrics_table` shows."""
    shown = {column.text for column in table.columns}
    return [(name, meaning) for name, meaning in METRICS.values() if name in shown]


def _value(key: str, number: float | None) -> str:
    if key in METRICS or number is None:
        return percent(number)
    return f"{number:.4g}"


def parts_table(runs: Sequence[RunView], labels: Sequence[str]) -> Table | None:
    """AASR of every part of the trigger, a row a run; None if no run measured parts."""
    measured = [
        (run, label, parts)
        for run, label in zip(runs, labels, strict=True)
        if isinstance(parts := metric(run, "aasr_parts"), Mapping) and parts
    ]
    names = list(dict.fromkeys(name for _, _, parts in measured for name in parts))
    if not names:
        return None
    rows = [
        Row(Heading(label), tuple(Cell(percent(parts.get(name))) for name in names))
        for _, label, parts in measured
    ]
    return Table((Heading("Run"), *map(Heading, names)), tuple(rows))


def progress(run: RunView) -> str:
    """Rounds done, and of how many if the run is unfinished."""
    done = len(run.rounds)
    return str(done) if run.result else f"{done} of {run.planned}"


def settings_table(runs: Sequence[RunView], labels: Sequence[str]) -> Table:
    """A column a run, a row a setting of the configuration.

    A part that is a bare name in one run and a table in another is a name in both.
    """
    flats = [dict(flatten({**run.config, **_unsaid(run)})) for run in runs]
    tables = {name.split(".")[0] for flat in flats for name in flat if "." in name}
    flats = [
        {f"{name}.name" if name in tables else name: text for name, text in flat.items()}
        for flat in flats
    ]
    return _side_by_side("Setting", flats, labels)


def _unsaid(run: RunView) -> dict[str, str]:
    """What the settings leave open though it is not nothing: who attacks a deployment."""
    if run.attack is not None or run.clean:
        return {}
    return {"attack": "unknown" if run.blind else "planted attackers"}


def provenance_table(runs: Sequence[RunView], labels: Sequence[str]) -> Table:
    """A column a run: where it lies, its key, seed, time, versions and final model."""
    return _side_by_side("", [_provenance(run) for run in runs], labels)


def _side_by_side(
    corner: str, flats: Sequence[Mapping[str, str]], labels: Sequence[str]
) -> Table:
    names = dict.fromkeys(name for flat in flats for name in flat)
    parts = list(dict.fromkeys(name.split(".")[0] for name in names))
    # Stable: what only a later run has joins the rest of its part.
    ordered = sorted(names, key=lambda name: parts.index(name.split(".")[0]))
    rows = [
        Row(Heading(name), tuple(Cell(flat.get(name, DASH)) for flat in flats))
        for name in ordered
    ]
    return Table((Heading(corner), *map(Heading, labels)), tuple(rows))


def _provenance(run: RunView) -> dict[str, str]:
    facts = {
        "folder": run.folder.resolve().name,
        "key": run.key or DASH,
        "rounds": progress(run),
        "seed": dict(flatten(run.config)).get("seed", DASH),
    }
    phases = dict.fromkeys(name for record in run.rounds for name in record.seconds)
    for phase in phases:
        spent = [record.seconds[phase] for record in run.rounds if phase in record.seconds]
        facts[f"seconds a round, {phase}"] = f"{fmean(spent):.3g}"
    if run.result is not None:
        if run.result.finished is not None:
            facts["finished"] = run.result.finished
        facts["seconds in all"] = f"{run.result.seconds:.1f}"
        facts.update(flatten(run.result.provenance))
        facts["final model (SHA-256)"] = run.result.params_sha256
    facts.pop("command", None)
    return facts


def command(run: RunView) -> str | None:
    """The command line that made the run, where its provenance holds it."""
    stored = run.result.provenance.get("command") if run.result else None
    if stored is None:
        return None
    return shlex.join(map(str, stored)) if isinstance(stored, list) else str(stored)
