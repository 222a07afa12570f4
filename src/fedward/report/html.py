"""One HTML file that holds the whole report and opens from disk with no network."""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fedward.report import figures, palette, summary, tables
from fedward.report.labels import label_runs
from fedward.report.reachability import reachability
from fedward.report.runs import RunView, find_runs, read_run
from fedward.report.updates import sizes
from fedward.report.verdicts import held_rounds, verdict_map


@dataclass(frozen=True)
class Chart:
    """A figure, ready for the page.

    Attributes:
        id: unlike that of any other chart on the page.
        title: what a screen reader says, and the name of a saved picture.
        height: in pixels.
        json: the figure, safe inside a script element.
        frames: round and heading of every state, for a chart that has several.
        shown: index of the frame to begin with.
    """

    id: str
    title: str
    height: int
    json: Markup
    frames: tuple[tuple[str, str], ...]
    shown: int


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
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        Path(name).chmod(0o644)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return out


def render(runs: Sequence[RunView]) -> str:
    """The page as text; a pure function of the runs."""
    labels = label_runs(runs)
    environment = Environment(
        loader=PackageLoader("fedward.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    panels = [
        _panel(i, run, label)
        for i, (run, label) in enumerate(zip(runs, labels, strict=True))
    ]
    commands = [
        (label, tables.command(run)) for run, label in zip(runs, labels, strict=True)
    ]
    metrics = tables.metrics_table(runs, labels)
    return environment.get_template("report.html.j2").render(
        title=f"Fedward report: {', '.join(labels)}",
        about=summary.about(runs),
        sentences=summary.headline(runs, labels),
        cards=summary.cards(runs, labels),
        metrics=metrics,
        parts=tables.parts_table(runs, labels),
        meanings=tables.meanings(metrics),
        curves_chart=_chart(
            "ma-asr", "MA and ASR over rounds", figures.curves(runs, labels)
        ),
        rates=_chart("aer-brr", "AER and BRR over rounds", figures.rates(runs, labels)),
        panels=panels,
        first=_first(runs),
        settings=tables.settings_table(runs, labels),
        provenance=tables.provenance_table(runs, labels),
        commands=[(label, line) for label, line in commands if line is not None],
        hues=[(i, colour.light, colour.dark) for i, colour in enumerate(palette.RUNS)],
        pairs=script_json(json.dumps(palette.PAIRS)),
        plotly=Markup(get_plotlyjs()),
        version=version("fedward"),
    )


def script_json(text: str) -> Markup:
    """JSON that cannot end the script element it stands in; it parses to the same value."""
    for unsafe in "<>&\u2028\u2029":
        text = text.replace(unsafe, f"\\u{ord(unsafe):04x}")
    return Markup(text)


def _panel(index: int, run: RunView, label: str) -> Panel:
    return Panel(
        label=label,
        hue=index % len(palette.RUNS),
        verdicts=_chart(f"verdicts-{index}", f"Verdicts, {label}", verdict_map(run)),
        walk=_chart(f"walk-{index}", f"Reachability, {label}", reachability(run)),
        sizes=_chart(f"sizes-{index}", f"Updates, {label}", sizes(run)),
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


def _chart(id: str, title: str, figure: go.Figure | None) -> Chart | None:
    if figure is None:
        return None
    frames = tuple((frame.name, frame.layout.meta) for frame in figure.frames)
    shown = next(
        (i for i, f in enumerate(figure.frames) if f.layout.meta == figure.layout.meta), 0
    )
    return Chart(
        id=id,
        title=title,
        height=int(figure.layout.height),
        json=script_json(figure.to_json()),
        frames=frames,
        shown=shown,
    )


def _first(runs: Sequence[RunView]) -> int:
    """The run to open: one whose defence selects and that was attacked, if there is one."""
    return max(
        range(len(runs)),
        key=lambda i: (runs[i].selects, bool(runs[i].attacked_rounds), -i),
    )
