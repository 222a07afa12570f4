"""The report of runs: one page that shows and compares them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedward.report import figures, palette, summary, tables
from fedward.report.labels import label_runs
from fedward.report.pages import Chart, chart, fill, write_page
from fedward.report.reachability import reachability
from fedward.report.runs import RunView, find_runs, read_run
from fedward.report.updates import sizes
from fedward.report.verdicts import held_rounds, verdict_map


@dataclass(frozen=True)
class Panel:
    """What the page shows of one run in the sections that are about single runs."""

    label: str
    hue: int
    verdicts: Chart | None
    walk: Chart | None
    sizes: Chart | None
    held: list[tuple[str, str]]
    count: str


def write_report(folders: Sequence[Path], out: Path) -> Path:
    """Write the report of the run folders to ``out`` and say where it is.

    The file appears whole or not at all. The same folders give the same bytes.

    Raises:
        BrokenRun: if a folder is not a run or cannot be read.
        ValueError: if there is no folder.
    """
    if not folders:
        raise ValueError("a report needs at least one run folder, got none")
    page = render([read_run(folder) for folder in find_runs(folders)])
    return write_page(page, out)


def render(runs: Sequence[RunView]) -> str:
    """The page as text; a pure function of the runs."""
    labels = label_runs(runs)
    panels = [
        _panel(i, run, label)
        for i, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]
    commands = [
        (label, tables.command(run)) for run, label in zip(runs, labels, strict=True)
    ]
    metrics = tables.metrics_table(runs, labels)
    return fill(
        "report.html.j2",
        title=f"Fedward report: {', '.join(labels)}",
        about=summary.about(runs),
        sentences=summary.headline(runs, labels),
        cards=summary.cards(runs, labels),
        metrics=metrics,
        parts=tables.parts_table(runs, labels),
        meanings=tables.meanings(metrics),
        curves_chart=chart(
            "ma-asr", "MA and ASR over rounds", figures.curves(runs, labels)
        ),
        rates=chart("aer-brr", "AER and BRR over rounds", figures.rates(runs, labels)),
        panels=panels,
        first=_first(runs),
        settings=tables.settings_table(runs, labels),
        provenance=tables.provenance_table(runs, labels),
        commands=[(label, line) for label, line in commands if line is not None],
    )


def _panel(index: int, run: RunView, label: str) -> Panel:
    return Panel(
        label=label,
        hue=index % len(palette.RUNS),
        verdicts=chart(f"verdicts-{index}", f"Verdicts, {label}", verdict_map(run)),
        walk=chart(f"walk-{index}", f"Reachability, {label}", reachability(run)),
        sizes=chart(f"sizes-{index}", f"Updates, {label}", sizes(run)),
        held=held_rounds(run),
        count=_count(run),
    )


def _count(run: RunView) -> str:
    """How many verdicts were wrong, and how many there are where nobody knows.

    Wrong in defended rounds, as for AER and BRR: before them the mean takes everybody.
    """
    undefended = {record.round for record in run.rounds if not record.defended}
    known = [
        verdict
        for verdict in run.verdicts
        if verdict.malicious is not None
        and not verdict.failed
        and verdict.round not in undefended
    ]
    unknown = [verdict for verdict in run.verdicts if verdict.malicious is None]
    parts = []
    if known or not unknown:
        admitted = sum(v.accepted for v in known if v.malicious)
        attackers = sum(v.malicious is True for v in known)
        rejected = sum(not v.accepted for v in known if not v.malicious)
        parts.append(
            f"{admitted} of {attackers} malicious updates were admitted, "
            f"{rejected} of {len(known) - attackers} honest ones rejected"
        )
    if unknown:
        accepted = sum(verdict.accepted for verdict in unknown)
        parts.append(
            f"{accepted} of {len(unknown)} updates were accepted and "
            f"{len(unknown) - accepted} rejected; nobody knows which were malicious"
        )
    return ". ".join(parts)


def _first(runs: Sequence[RunView]) -> int:
    """The run to open: one whose defence selects and that was attacked, if there is one."""
    return max(
        range(len(runs)),
        key=lambda i: (runs[i].selects, bool(runs[i].attacked_rounds), -i),
    )
