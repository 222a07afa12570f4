"""How large every update was, what clipping made of it, and how far off it lay."""

from collections.abc import Callable, Iterable

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fedward.report.palette import INK, axis, round_axis, shorten, style
from fedward.report.runs import RunView, VerdictView
from fedward.report.verdicts import outcomes

PANELS: tuple[tuple[str, str, Callable[[VerdictView], float | None]], ...] = (
    ("Update norm (L2)", "norm", lambda verdict: verdict.norm),
    ("Clip factor", "factor", lambda verdict: verdict.factor),
    ("Distance to group", "distance", lambda verdict: verdict.distance),
)
"""Title, word for the hover, and value of each panel of `sizes`."""


def sizes(run: RunView) -> go.Figure | None:
    """Norm, clip factor and distance of every update; None if none was recorded.

    Panels with no value are left out. The clipping bound is drawn where recorded.
    """
    panels = [
        panel for panel in PANELS if any(panel[2](v) is not None for v in run.verdicts)
    ]
    if not panels:
        return None
    figure = make_subplots(
        rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.04
    )
    rounds = [record.round for record in run.rounds]
    for row, (title, word, value) in enumerate(panels, start=1):
        for trace in _dots(run, word, value, legend=row == 1):
            figure.add_trace(trace, row=row, col=1)
        options = (
            {"type": "log", "tickformat": "~g"}
            if word == "norm"
            else {"rangemode": "tozero"}
        )
        figure.update_yaxes(axis(title, **options), row=row, col=1)
        figure.update_xaxes(
            round_axis("Round" if row == len(panels) else "", rounds), row=row, col=1
        )
    if panels[0][1] == "norm":
        _draw_bound(figure, run)
    return style(figure, 90 + 210 * len(panels))


def _draw_bound(figure: go.Figure, run: RunView) -> None:
    bound = [(r.round, r.facts["bound"]) for r in run.rounds if "bound" in r.facts]
    if bound:
        line = go.Scatter(
            x=[number for number, _ in bound],
            y=[shorten(value) for _, value in bound],
            name="clipping bound",
            mode="lines",
            line={"color": INK.light, "width": 1.5, "dash": "dot", "shape": "hvh"},
            hovertemplate="round %{x}<br>clipping bound %{y:.4g}<extra></extra>",
        )
        figure.add_trace(line, row=1, col=1)


def _dots(
    run: RunView, word: str, value: Callable[[VerdictView], float | None], legend: bool
) -> Iterable[go.Scatter]:
    """A trace for each outcome: diamonds are attackers, squares unknown."""
    shapes = {False: "circle", True: "diamond", None: "square"}
    for outcome in outcomes(run.verdicts):
        kept = [
            (verdict, number)
            for verdict in run.verdicts
            if outcome.covers(verdict) and (number := value(verdict)) is not None
        ]
        colour, shape = outcome.colour.light, shapes[outcome.malicious]
        yield go.Scatter(
            x=[verdict.round for verdict, _ in kept],
            y=[shorten(number) for _, number in kept],
            customdata=[str(verdict.client) for verdict, _ in kept],
            name=outcome.name,
            legendgroup=outcome.name,
            showlegend=legend,
            mode="markers",
            marker={
                "symbol": shape if outcome.accepted else f"{shape}-open",
                "size": 7 if outcome.malicious else 6,
                "color": colour,
                "line": {"width": 1.4, "color": colour},
                "opacity": 0.85,
            },
            hovertemplate=(f"round %{{x}}, client %{{customdata}}<br>{word} %{{y:.4g}}"),
        )
