"""The verdict map: what became of every client in every round."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import plotly.graph_objects as go

from fedward.report.figures import spans
from fedward.report.palette import (
    ATTACKER,
    ATTACKER_ADMITTED,
    ATTACKER_REJECTED,
    DASH,
    FIELD,
    HONEST,
    HONEST_ACCEPTED,
    HONEST_REJECTED,
    INK,
    UNKNOWN,
    UNKNOWN_ACCEPTED,
    UNKNOWN_REJECTED,
    Colour,
    axis,
    literal,
    round_axis,
    style,
)
from fedward.report.runs import RunView, VerdictView


@dataclass(frozen=True)
class Outcome:
    """What a verdict amounts to, and how charts show it.

    Attributes:
        malicious: None where nobody knows.
        name: in legends.
        colour: of the kind of client.
        cell: of a cell of `verdict_map`.
        hatch: plotly's pattern on that cell.
    """

    malicious: bool | None
    accepted: bool
    name: str
    colour: Colour
    cell: Colour
    hatch: str = ""

    def covers(self, verdict: VerdictView) -> bool:
        """Whether the verdict is one of these; every verdict is one of exactly one."""
        return (verdict.malicious, verdict.accepted) == (self.malicious, self.accepted)


OUTCOMES = (
    Outcome(False, True, "honest, accepted", HONEST, HONEST_ACCEPTED),
    Outcome(False, False, "honest, rejected", HONEST, HONEST_REJECTED),
    Outcome(True, False, "attacker, rejected", ATTACKER, ATTACKER_REJECTED, "/"),
    Outcome(True, True, "attacker, admitted", ATTACKER, ATTACKER_ADMITTED, "/"),
)
"""Where it is known who attacked."""

UNKNOWN_OUTCOMES = (
    Outcome(None, True, "client, accepted", UNKNOWN, UNKNOWN_ACCEPTED),
    Outcome(None, False, "client, rejected", UNKNOWN, UNKNOWN_REJECTED, "x"),
)
"""Where nobody knows."""


def outcomes(verdicts: Sequence[VerdictView]) -> tuple[Outcome, ...]:
    """What the legend of these verdicts needs; both kinds if the knowledge came later."""
    unknown = sum(verdict.malicious is None for verdict in verdicts)
    known = OUTCOMES if unknown < len(verdicts) or not verdicts else ()
    return known + (UNKNOWN_OUTCOMES if unknown else ())


DETAILS = (
    "%{customdata[1]}<br>norm %{customdata[2]}, clip factor %{customdata[3]}"
    "<br>distance to the group %{customdata[4]}"
    "<br>reachability %{customdata[5]}, core distance %{customdata[6]}"
    "<br>rarity of its classes %{customdata[7]}<extra></extra>"
)
"""The end of a hover text over what `details` gives."""


def details(verdict: VerdictView) -> list[str]:
    """Client, reason and every number of a verdict, as the hover shows them.

    All are text: a node of a deployment has 64 bits, of which a browser's numbers keep 53.
    """
    numbers = (
        verdict.norm,
        verdict.factor,
        verdict.distance,
        verdict.reachability,
        verdict.core_distance,
        verdict.rarity,
    )
    texts = [DASH if number is None else f"{number:.4g}" for number in numbers]
    return [str(verdict.client), literal(verdict.reason), *texts]


def order_clients(verdicts: Iterable[VerdictView]) -> list[tuple[int, bool]]:
    """Clients that took part and whether they are known to have attacked.

    Attackers first, each kind by number.
    """
    attacked: dict[int, bool] = {}
    for verdict in verdicts:
        before = attacked.get(verdict.client, False)
        attacked[verdict.client] = before or verdict.malicious is True
    return sorted(attacked.items(), key=lambda pair: (not pair[1], pair[0]))


def verdict_map(run: RunView) -> go.Figure | None:
    """A cell a client and round: who took part, who attacked, who was accepted.

    Attackers are the rows on top and their cells are hatched. Blue is right (honest
    accepted, attacker rejected), warm is wrong, violet is unknown and crossed if rejected;
    an empty place did not take part. None if the run has no verdict.
    """
    if not run.verdicts:
        return None
    clients = order_clients(run.verdicts)
    rows = {client: row for row, (client, _) in enumerate(clients)}
    figure = go.Figure()
    for outcome in outcomes(run.verdicts):
        cells = [verdict for verdict in run.verdicts if outcome.covers(verdict)]
        figure.add_trace(_cells(cells, rows, outcome))
    _mark_held(figure, run)
    _mark_begin(figure, run, len(clients))
    figure.update_layout(
        barmode="overlay",
        bargap=0,
        xaxis=round_axis("Round", [r.round for r in run.rounds], showgrid=False),
        yaxis=_client_axis(clients),
    )
    return style(figure, 130 + max(180, min(1100, 15 * len(clients))))


def _client_axis(clients: Sequence[tuple[int, bool]]) -> dict[str, Any]:
    """Rows downwards, with room for marks above the first; many clients share labels."""
    step = math.ceil(len(clients) / 50)
    few = sum(attacker for _, attacker in clients) <= 25
    shown = [
        (row, f"<b>attacker {client}</b>" if attacker else str(client))
        for row, (client, attacker) in enumerate(clients)
        if (attacker and few) or row % step == 0
    ]
    return axis(
        "Client",
        range=[len(clients) - 0.4, -1.6],
        tickvals=[row for row, _ in shown],
        ticktext=[text for _, text in shown],
        tickfont={"size": 11},
        showgrid=False,
    )


def _cells(cells: Sequence[VerdictView], rows: dict[int, int], outcome: Outcome) -> go.Bar:
    """Bars one round wide that float in their client's row: cells that zoom and hide."""
    return go.Bar(
        x=[verdict.round for verdict in cells],
        y=[0.86] * len(cells),
        base=[rows[verdict.client] - 0.43 for verdict in cells],
        width=0.88,
        name=outcome.name,
        marker={
            "color": outcome.cell.light,
            "line": {"width": 0},
            "pattern": {
                "shape": outcome.hatch,
                "fgcolor": FIELD.light,
                "size": 5,
                "solidity": 0.22,
                "fillmode": "overlay",
            },
        },
        customdata=[details(verdict) for verdict in cells],
        hovertemplate=(
            f"<b>client %{{customdata[0]}}, round %{{x}}</b><br>{outcome.name}<br>{DETAILS}"
        ),
    )


def _mark_held(figure: go.Figure, run: RunView) -> None:
    held = [(r.round, r.held) for r in run.rounds if r.held is not None]
    if held:
        figure.add_trace(
            go.Scatter(
                x=[number for number, _ in held],
                y=[-1] * len(held),
                customdata=[[literal(why)] for _, why in held],
                name="round held, model kept",
                mode="markers",
                marker={"symbol": "triangle-down", "size": 9, "color": INK.light},
                hovertemplate=("<b>round %{x} held</b><br>%{customdata[0]}<extra></extra>"),
            )
        )


def _mark_begin(figure: go.Figure, run: RunView, rows: int) -> None:
    """A line where the attack begins, unless it does with the first round."""
    if run.attacked_rounds and run.attacked_rounds[0] > run.rounds[0].round:
        figure.add_trace(
            go.Scatter(
                x=[run.attacked_rounds[0] - 0.5] * 2,
                y=[-1.6, rows - 0.4],
                name="attack begins",
                mode="lines",
                line={"color": ATTACKER.light, "width": 1.5, "dash": "dot"},
                hoverinfo="skip",
            )
        )


def held_rounds(run: RunView) -> list[tuple[str, str]]:
    """Reason and rounds of what was held, such as ``("no cluster", "3, 7-9")``."""
    held = [(r.held, r.round) for r in run.rounds if r.held is not None]
    return [
        (
            why,
            ", ".join(
                str(a) if a == b else f"{a}-{b}" for a, b in spans(n for _, n in group)
            ),
        )
        for why, group in groupby(sorted(held), key=lambda pair: pair[0])
    ]
