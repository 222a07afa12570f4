"""The reachability plot: how OPTICS walked through the updates of a round.

Ankerst et al., *OPTICS: ordering points to identify the clustering structure*, SIGMOD 1999,
https://doi.org/10.1145/304182.304187. Valleys are clusters; bars above the eps line part
them.
"""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from fedward.report.palette import FAINT, FIELD, INK, axis, shorten, style
from fedward.report.runs import RoundView, RunView, VerdictView
from fedward.report.verdicts import DETAILS, Outcome, details, outcomes

Walk = Sequence[tuple[int, VerdictView]]
"""Place and verdict, in the order of the walk."""


def reachability(run: RunView) -> go.Figure | None:
    """The OPTICS walk of a round, a frame for each round that has one.

    Bars stand in the order of the walk, as high as the client's reachability; a client
    without one starts a walk and its pale bar ends the field. Colour says who it is,
    hatching that it was rejected. The figure shows the last attacked round, or the last. A
    frame holds what differs from it, its name is its round, and its ``layout.meta`` the
    `heading`. None for methods that do not walk.
    """
    walks = [
        (record, walk)
        for record in run.rounds
        if (walk := _walk(run.by_round.get(record.round, ())))
    ]
    if not walks:
        return None
    kinds = outcomes(run.verdicts)
    frames = [
        _frame(record, walk, run.by_round[record.round], kinds) for record, walk in walks
    ]
    attacked = [i for i, (record, _) in enumerate(walks) if record.attacked]
    shown = frames[attacked[-1] if attacked else -1]
    figure = go.Figure(data=_traces(kinds), layout=shown.layout, frames=frames)
    for trace, part in zip(figure.data, shown.data, strict=True):
        trace.update(part)
    figure.update_layout(barmode="overlay", bargap=0.12)
    return style(figure, 390)


def _walk(verdicts: Sequence[VerdictView]) -> list[tuple[int, VerdictView]]:
    placed = [(v.position, v) for v in verdicts if v.position is not None]
    return sorted(placed, key=lambda pair: pair[0])


def _traces(kinds: Sequence[Outcome]) -> list[go.Bar | go.Scatter]:
    """How bars and lines look, with no data yet, in the order of a frame's."""
    bars = [
        go.Bar(
            name=kind.name,
            marker={
                "color": kind.colour.light,
                "line": {"width": 0},
                "pattern": {
                    "shape": "" if kind.accepted else "/",
                    "fgcolor": FIELD.light,
                    "size": 9,
                    "solidity": 0.5,
                    "fillmode": "overlay",
                },
            },
            hovertemplate=f"<b>client %{{customdata[0]}}</b><br>{kind.name}<br>{DETAILS}",
        )
        for kind in kinds
    ]
    core = go.Scatter(
        name="core distance",
        mode="markers",
        marker={
            "symbol": "line-ew",
            "size": 16,
            "color": FAINT.light,
            "line": {"width": 2, "color": FAINT.light},
        },
        hovertemplate="core distance %{y:.4g}<extra></extra>",
    )
    eps = go.Scatter(
        name="eps",
        mode="lines",
        line={"color": INK.light, "width": 1.5, "dash": "dash"},
        hovertemplate="eps %{y:.4g}<extra></extra>",
    )
    return [*bars, core, eps]


def _frame(
    record: RoundView,
    walk: Walk,
    verdicts: Sequence[VerdictView],
    kinds: Sequence[Outcome],
) -> go.Frame:
    """The data of one round."""
    top = 1.12 * max(_heights(record, walk), default=1.0)
    ends = [walk[0][0] - 0.5, walk[-1][0] + 0.5]
    eps = record.facts.get("eps")
    return go.Frame(
        name=str(record.round),
        data=[
            *(_bars(walk, kind, top) for kind in kinds),
            go.Scatter(
                x=[place for place, _ in walk],
                y=[_height(verdict.core_distance) for _, verdict in walk],
            ),
            go.Scatter(x=ends, y=[_height(eps)] * 2),
        ],
        layout={
            "meta": heading(record, verdicts),
            "xaxis": axis(
                f"Client, in the order of the walk of round {record.round}",
                range=ends,
                tickvals=[place for place, _ in walk],
                ticktext=[
                    f"<b>{verdict.client}</b>" if verdict.malicious else str(verdict.client)
                    for _, verdict in walk
                ],
                showgrid=False,
            ),
            "yaxis": axis("Reachability distance", range=[0, top]),
        },
    )


def _bars(walk: Walk, kind: Outcome, top: float) -> go.Bar:
    """The clients of one outcome; ``top`` is the height of a bar without one."""
    kept = [(place, verdict) for place, verdict in walk if kind.covers(verdict)]
    heights = [_height(verdict.reachability) for _, verdict in kept]
    return go.Bar(
        x=[place for place, _ in kept],
        y=[top if height is None else height for height in heights],
        marker={"opacity": [0.35 if height is None else 1.0 for height in heights]},
        customdata=[details(verdict) for _, verdict in kept],
    )


def _heights(record: RoundView, walk: Walk) -> list[float]:
    numbers = [_height(record.facts.get("eps"))]
    for _, verdict in walk:
        numbers += [_height(verdict.reachability), _height(verdict.core_distance)]
    return [number for number in numbers if number is not None]


def _height(number: float | None) -> float | None:
    """A number that can be drawn, or None where it is undefined or infinite."""
    return None if number is None or not math.isfinite(number) else shorten(number)


def heading(record: RoundView, verdicts: Sequence[VerdictView]) -> str:
    """The round with these verdicts in one line of plain text."""
    parts = [f"Round {record.round}"]
    if "eps" in record.facts:
        parts.append(f"eps {record.facts['eps']:.4g}")
    if record.attackers:
        parts.append(
            f"{record.admitted_attackers} of {record.attackers} attackers admitted"
        )
    if record.attackers is None:
        rejected = sum(not verdict.accepted for verdict in verdicts)
        parts.append(f"{rejected} of {record.clients} clients rejected")
    else:
        honest = record.clients - record.attackers
        parts.append(f"{record.rejected_benign} of {honest} honest clients rejected")
    if record.held is not None:
        parts.append(f"held: {record.held}")
    return " · ".join(parts)
