"""Charts over rounds: accuracy and attack success, and the errors of the defence."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fedward.report.palette import (
    ATTACKER,
    WINDOW,
    axis,
    literal,
    round_axis,
    run_style,
    shorten,
    style,
)
from fedward.report.runs import RoundView, RunView

PERCENT = {"ticksuffix": " %", "range": [-3, 103]}


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last number of each unbroken row of ascending numbers."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def curves(runs: Sequence[RunView], labels: Sequence[str]) -> go.Figure:
    """MA and ASR over rounds, a line a run, the attack window shaded.

    The ASR of a trigger's parts is in the legend, hidden until asked for.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05)
    for index, (run, label) in enumerate(zip(runs, labels, strict=True)):
        colour, dash = run_style(index)
        line = {"color": colour, "dash": dash, "width": 2.25}
        ma = [(r.round, r.ma) for r in run.rounds if r.ma is not None]
        figure.add_trace(_line(ma, label, line, label, "MA"), row=1, col=1)
        for probe in dict.fromkeys(name for r in run.rounds for name in r.asr):
            asr = [(r.round, r.asr[probe]) for r in run.rounds if probe in r.asr]
            if probe == run.headline:
                trace = _line(asr, label, line, label, "ASR", showlegend=False)
            else:
                trace = _part(figure, asr, label, probe, colour)
            figure.add_trace(trace, row=2, col=1)
    _shade(figure, runs, labels)
    rounds = [record.round for run in runs for record in run.rounds]
    figure.update_layout(
        xaxis=round_axis("", rounds),
        xaxis2=round_axis("Round", rounds),
        yaxis=axis("Main accuracy (MA)", **PERCENT),
        yaxis2=axis("Attack success (ASR)", **PERCENT),
        hovermode="closest",
    )
    return style(figure, 600 + _legend_height(figure))


def _legend_height(figure: go.Figure) -> int:
    """Pixels for the names of the legend, some five to a line on a wide page."""
    names = sum(trace.showlegend is not False for trace in figure.data)
    return 20 * math.ceil(names / 5)


def _line(
    points: Sequence[tuple[int, float]],
    name: str,
    line: dict[str, Any],
    group: str,
    what: str,
    **options: Any,
) -> go.Scatter:
    return go.Scatter(
        x=[number for number, _ in points],
        y=[shorten(100 * share) for _, share in points],
        name=literal(name),
        line=line,
        legendgroup=literal(group),
        hovertemplate=f"round %{{x}}<br>{what} %{{y:.2f}} %",
        **{"mode": "lines" if len(points) > 1 else "markers", **options},
    )


def _part(
    figure: go.Figure,
    points: Sequence[tuple[int, float]],
    label: str,
    probe: str,
    colour: str,
) -> go.Scatter:
    """A hidden line of one part; all parts of a run share one entry of the legend."""
    group = f"{label}: parts of the trigger"
    first = all(trace.legendgroup != literal(group) for trace in figure.data)
    line = {"color": colour, "dash": "dot", "width": 1.25}
    what = f"ASR of {literal(probe).replace('%', '&#37;')}"
    return _line(
        points,
        group,
        line,
        group,
        what,
        mode="lines+markers",
        visible="legendonly",
        showlegend=first,
        legendrank=2000,
    )


def windows(
    runs: Sequence[RunView], labels: Sequence[str]
) -> list[tuple[tuple[int, ...], list[str]]]:
    """The rounds under attack and whose they are; the longest run's first.

    A shorter run shares a window if they agree for as long as it goes.
    """
    found: list[tuple[tuple[int, ...], list[str]]] = []
    named = [pair for pair in zip(runs, labels, strict=True) if pair[0].attacked_rounds]
    for run, label in sorted(named, key=lambda pair: -pair[0].rounds[-1].round):
        last = run.rounds[-1].round
        for rounds, whose in found:
            if tuple(n for n in rounds if n <= last) == run.attacked_rounds:
                whose.append(label)
                break
        else:
            found.append((run.attacked_rounds, [label]))
    return found


def _shade(figure: go.Figure, runs: Sequence[RunView], labels: Sequence[str]) -> None:
    """Shade the rounds under attack; say whose where runs differ."""
    found = windows(runs, labels)
    for index, (rounds, whose) in enumerate(found):
        text = "under attack" + (f": {', '.join(whose)}" if len(found) > 1 else "")
        for first, last in spans(rounds):
            figure.add_vrect(
                x0=first - 0.5,
                x1=last + 0.5,
                row="all",
                col=1,
                layer="below",
                line_width=0,
                fillcolor=WINDOW.light,
                opacity=1 if len(found) == 1 else 0.6,
            )
        figure.add_annotation(
            x=rounds[0] - 0.5,
            y=0,
            row=1,
            col=1,
            yref="y domain",
            xanchor="left",
            yanchor="bottom",
            yshift=16 * index,
            showarrow=False,
            text=literal(text),
            font={"size": 12, "color": ATTACKER.light},
        )


def rates(runs: Sequence[RunView], labels: Sequence[str]) -> go.Figure | None:
    """Attackers admitted and honest clients rejected, of runs whose defence selects.

    A dot is one round, the line all rounds up to it, pooled. Rounds before the defence
    begins have no say, nor do those of which nobody knows who attacked. None if no run
    selects.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05)
    for index, (run, label) in enumerate(zip(runs, labels, strict=True)):
        if run.selects:
            escaped, turned = _pooled(run, _escaped), _pooled(run, _turned_away)
            if run.blind and not turned:
                continue
            for trace in _rate(escaped, index, label, "attackers admitted", False):
                figure.add_trace(trace, row=1, col=1)
            for trace in _rate(turned, index, label, "honest clients rejected", True):
                figure.add_trace(trace, row=2, col=1)
    if not figure.data:
        return None
    if sum(run.selects for run in runs) > 3:
        figure.update_traces(visible=False, selector={"mode": "markers"})
    rounds = [record.round for run in runs for record in run.rounds]
    seen = [trace for trace in figure.data if trace.visible is not False]
    top = max([10.0, *(share for trace in seen for share in trace.y)])
    shares = {"ticksuffix": " %", "range": [-0.05 * top, 1.06 * top]}
    figure.update_layout(
        xaxis=round_axis("", rounds),
        xaxis2=round_axis("Round", rounds),
        yaxis=axis("Attackers admitted (AER)", **shares),
        yaxis2=axis("Honest rejected (BRR)", **shares),
    )
    return style(figure, 440 + _legend_height(figure))


Tally = tuple[int, int, int, int, int]
"""A round's number, hits, out of; hits and out of so far."""


def _escaped(record: RoundView) -> tuple[int, int] | None:
    """Attackers admitted and attackers; None where unknown."""
    if record.admitted_attackers is None or record.attackers is None:
        return None
    return record.admitted_attackers, record.attackers


def _turned_away(record: RoundView) -> tuple[int, int] | None:
    """Honest clients rejected and honest clients; None where unknown."""
    if record.rejected_benign is None or record.attackers is None:
        return None
    return record.rejected_benign, record.clients - record.attackers


def _pooled(
    run: RunView, count: Callable[[RoundView], tuple[int, int] | None]
) -> list[Tally]:
    """The rounds that count, each with its own and the running tally."""
    counted = [(r.round, count(r)) for r in run.rounds if r.defended]
    each = [(number, *pair) for number, pair in counted if pair is not None and pair[1]]
    hits = accumulate(hit for _, hit, _ in each)
    totals = accumulate(out_of for _, _, out_of in each)
    return [
        (*one, *sums)
        for one, sums in zip(each, zip(hits, totals, strict=True), strict=True)
    ]


def _rate(
    tallies: Sequence[Tally], index: int, label: str, what: str, legend: bool
) -> Iterable[go.Scatter]:
    colour, dash = run_style(index)
    common = {
        "x": [t[0] for t in tallies],
        "legendgroup": literal(label),
        "name": literal(label),
    }
    yield go.Scatter(
        **common,
        y=[shorten(100 * hits / out_of) for _, hits, out_of, _, _ in tallies],
        customdata=[(hits, out_of) for _, hits, out_of, _, _ in tallies],
        mode="markers",
        marker={"color": colour, "size": 5, "opacity": 0.45},
        showlegend=False,
        hovertemplate=f"round %{{x}}<br>%{{customdata[0]}} of %{{customdata[1]}} {what}",
    )
    yield go.Scatter(
        **common,
        y=[shorten(100 * hits / out_of) for _, _, _, hits, out_of in tallies],
        customdata=[(hits, out_of) for _, _, _, hits, out_of in tallies],
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2.25},
        showlegend=legend,
        hovertemplate=(
            "up to round %{x}<br>%{customdata[0]} of %{customdata[1]} "
            f"{what} (%{{y:.2f}} %)"
        ),
    )
