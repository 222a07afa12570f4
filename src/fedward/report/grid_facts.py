"""What a grid's page says beside its tables: headline, differences, times, provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from fedward.report.grid_cells import Entry, Sample
from fedward.report.grid_sheets import Matrix, Sheet
from fedward.report.grid_tables import NEAR, SHOWN, not_shown, place_text, points, signed
from fedward.report.labels import flatten
from fedward.report.palette import DASH
from fedward.report.tables import Cell, Heading, Row, Table
from fedward.simulation.config import to_table


def headline(found: Sequence[Entry]) -> list[str]:
    """How much of the grid is there, and how it compares with the paper."""
    samples = [sample for entry in found for sample in entry.samples]
    done = sum(sample.result is not None for sample in samples)
    said = [f"{done} of {len(samples)} cells are finished."]
    comparable = [entry for entry in found if entry.published and entry.measured]
    fair = [entry for entry in comparable if not entry.deviations]
    own = [entry for entry in fair if not entry.variant]
    if own:
        aasr, ma = (_near(own, key) for key in ("aasr", "ma"))
        said.append(
            f"The paper has {len(own)} of them, seeds together. Attack success is within "
            f"{100 * NEAR['aasr']:.0f} points of the paper's in {aasr}, accuracy within "
            f"{100 * NEAR['ma']:.0f} points in {ma}."
        )
    variants, odd = len(fair) - len(own), len(comparable) - len(fair)
    if variants:
        said.append(
            f"{_beside(variants)}: variants of its methods, with other options or as the "
            "authors' code has them."
        )
    if odd:
        said.append(f"{_beside(odd)}, because the settings are not the paper's.")
    return said


def _beside(count: int) -> str:
    stand = "stands" if count == 1 else "stand"
    return f"{count} more {stand} beside the paper's number without counting"


def _near(found: Sequence[Entry], key: str) -> int:
    return sum(
        (off := entry.off(key)) is not None and abs(off) <= NEAR[key] for entry in found
    )


@dataclass(frozen=True)
class Tally:
    """A sheet or matrix in a few numbers."""

    id: str
    title: str
    numbers: tuple[tuple[str, Cell], ...]


def tally(page: Sheet | Matrix) -> Tally:
    """Cells finished, and how near they are to the paper or how many attacks are shown."""
    samples = [sample for entry in page.entries for sample in entry.samples]
    done = sum(sample.result is not None for sample in samples)
    numbers = [("Cells finished", Cell(f"{done} of {len(samples)}"))]
    if isinstance(page, Matrix):
        shown = sum(not_shown(strike) is None for strike in page.strikes)
        note = f"at least {100 * SHOWN:.0f} points over the floor"
        text = f"{shown} of {len(page.strikes)}"
        numbers.append(("Attacks shown against FedAvg", Cell(text, note)))
        return Tally(page.id, page.title, tuple(numbers))
    for key, name in (("aasr", "AASR"), ("ma", "MA")):
        offs = [
            abs(off)
            for entry in page.entries
            if not entry.deviations
            and not entry.variant
            and (off := entry.off(key)) is not None
        ]
        if offs:
            near = sum(off <= NEAR[key] for off in offs)
            cell = Cell(
                f"{near} of {len(offs)}", f"median difference {points(median(offs))}"
            )
            numbers.append((f"{name} within {100 * NEAR[key]:.0f} points", cell))
    return Tally(page.id, page.title, tuple(numbers))


@dataclass(frozen=True)
class Difference:
    """A cell of the paper's protocol that is further from the paper than it should be."""

    place: str
    key: str
    aasr: str
    ma: str
    seeds: int


def differences(found: Sequence[Entry]) -> list[Difference]:
    """Cells more than `NEAR` off, the largest difference of AASR first."""
    far = [
        (aasr, ma, entry)
        for entry in found
        if not entry.deviations
        and (aasr := entry.off("aasr")) is not None
        and (ma := entry.off("ma")) is not None
        and (abs(aasr) > NEAR["aasr"] or abs(ma) > NEAR["ma"])
    ]
    far.sort(key=lambda row: (-abs(row[0]), -abs(row[1])))
    return [
        Difference(
            place_text(entry),
            entry.measured[0].cell.key,
            signed(aasr),
            signed(ma),
            len(entry.measured),
        )
        for aasr, ma, entry in far
    ]


def apart(found: Sequence[Entry]) -> list[tuple[str, str]]:
    """Cells beside a number of the paper with settings that are not its own, and which."""
    return [
        (place_text(entry), "; ".join(entry.deviations))
        for entry in found
        if entry.deviations and entry.measured
    ]


def times_table(found: Sequence[Entry]) -> Table:
    """Seconds a run and a round by data set, device and engine."""
    spent: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    for entry in found:
        for sample in entry.measured:
            made = (sample.result or {})["provenance"]
            kind = (
                entry.at["dataset"],
                "nobody attacks" if entry.clean else "attacked",
                *(str(made.get(name, DASH)) for name in ("device", "threads", "engine")),
            )
            result = sample.result or {}
            spent.setdefault(kind, []).append((result["seconds"], result["rounds"]))
    rows = [
        Row(
            Heading(kind[0]),
            (
                *map(Cell, kind[1:]),
                Cell(str(len(runs))),
                Cell(f"{fmean(seconds for seconds, _ in runs):.0f}"),
                Cell(f"{sum(s for s, _ in runs) / sum(r for _, r in runs):.2f}"),
            ),
        )
        for kind, runs in sorted(spent.items())
    ]
    heads = ("Data set", "", "Device", "Threads", "Engine", "Runs", "s a run", "s a round")
    return Table(tuple(map(Heading, heads)), tuple(rows))


MADE_BY = ("fedward", "torch", "python", "device", "threads", "engine", "commit")


@dataclass(frozen=True)
class Made:
    """Where one number came from.

    Attributes:
        key: of the run.
        facts: one for each of `FACTS`.
        command: None where the run does not know it.
    """

    key: str
    place: str
    facts: tuple[str, ...]
    command: str | None


FACTS = ("Seed", "Finished", "s", *MADE_BY)


def provenance(found: Sequence[Entry]) -> list[Made]:
    """Every finished run, in the grid's order."""
    return [
        _made(entry, sample, sample.result)
        for entry in found
        for sample in entry.samples
        if sample.result is not None
    ]


def _made(entry: Entry, sample: Sample, result: Mapping[str, Any]) -> Made:
    by = result.get("provenance", {})
    facts = [
        str(sample.cell.config.seed),
        str(result.get("finished") or DASH),
        f"{result['seconds']:.0f}",
        *(str(DASH if by.get(name) is None else by[name]) for name in MADE_BY),
    ]
    return Made(sample.cell.key, place_text(entry), tuple(facts), by.get("command"))


def settings_table(pages: Sequence[Sheet | Matrix]) -> Table:
    """A column a sheet: what its cells have in common, and what varies."""
    flats = [_common([dict(flatten(to_table(e.config))) for e in p.entries]) for p in pages]
    names = dict.fromkeys(name for flat in flats for name in flat)
    parts = list(dict.fromkeys(name.split(".")[0] for name in names))
    rows = [
        Row(Heading(name), tuple(Cell(flat.get(name, DASH)) for flat in flats))
        for name in sorted(names, key=lambda name: parts.index(name.split(".")[0]))
    ]
    heads = [Heading("Setting"), *(Heading(page.title) for page in pages)]
    return Table(tuple(heads), tuple(rows))


def _common(flats: Sequence[Mapping[str, str]]) -> dict[str, str]:
    names = dict.fromkeys(name for flat in flats for name in flat)
    values = {
        name: list(dict.fromkeys(f[name] for f in flats if name in f)) for name in names
    }
    return {
        name: texts[0] if len(texts) == 1 else f"varies: {', '.join(texts[:6])}"
        for name, texts in values.items()
        if name != "seed"
    }
