"""Colours of the charts, for light and dark pages, and the layout that all charts share.

Figures are drawn in the light colours; the page swaps each for its dark partner. Every
meaning is also carried by something other than colour (hatching, a symbol, a dash), and the
hues stay apart for all common kinds of colour blindness: blue is right, warm is wrong.
Violet, in charts of its own, claims neither: nobody knows who attacked. The hues of runs
follow Okabe and Ito, *Color Universal Design*, 2008,
https://jfly.uni-koeln.de/color/.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go


@dataclass(frozen=True)
class Colour:
    """One meaning's colour on a light page and on a dark one."""

    light: str
    dark: str


INK = Colour("#1c2430", "#dfe4ea")
FAINT = Colour("#5a6675", "#98a4b3")
GRID = Colour("#e4e8ed", "#2a323c")
FIELD = Colour("#f6f8fa", "#171c23")
CARD = Colour("#fffffe", "#1e252e")
WINDOW = Colour("#fdf1e8", "#2b221c")

HONEST = Colour("#2f7fc1", "#63abe6")
ATTACKER = Colour("#cf4a0b", "#f47e3e")
UNKNOWN = Colour("#7a5bb5", "#b39ae6")

HONEST_ACCEPTED = Colour("#b9d6ee", "#2f5878")
ATTACKER_REJECTED = Colour("#13558f", "#6db4f0")
HONEST_REJECTED = Colour("#eda41c", "#c98a13")
ATTACKER_ADMITTED = Colour("#c2260f", "#ff5a40")
UNKNOWN_ACCEPTED = Colour("#d6cceb", "#4a3d6b")
UNKNOWN_REJECTED = Colour("#5b3a9b", "#b79bf2")

RUNS = (
    Colour("#0072b2", "#4aa8e0"),
    Colour("#d55e00", "#f0843a"),
    Colour("#009e73", "#2cc79b"),
    Colour("#b3568f", "#dd8fbe"),
    Colour("#8a6d00", "#d9b93c"),
    Colour("#3c4a9e", "#98a5f2"),
    Colour("#3a94b8", "#7fcbe8"),
    Colour("#7a4a2b", "#c99873"),
)
DASHES = ("solid", "dash", "dot", "dashdot")

PAIRS = {
    colour.light: colour.dark
    for colour in (
        INK, FAINT, GRID, FIELD, CARD, WINDOW, HONEST, ATTACKER, HONEST_ACCEPTED,
        ATTACKER_REJECTED, HONEST_REJECTED, ATTACKER_ADMITTED, UNKNOWN,
        UNKNOWN_ACCEPTED, UNKNOWN_REJECTED, *RUNS,
    )
}  # fmt: skip
"""Light colour to dark colour, for the page."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'


def run_style(index: int) -> tuple[str, str]:
    """Colour and dash of a run's line; no two of the first 32 runs look alike."""
    return RUNS[index % len(RUNS)].light, DASHES[index // len(RUNS) % len(DASHES)]


DASH = "\N{EN DASH}"
"""Stands for what is undefined, in tables and hovers."""


def literal(text: str) -> str:
    """Text that plotly shows as it is, not as its small markup language."""
    return html.escape(text, quote=False)


def shorten(number: float) -> float:
    """Six significant digits: more than a chart shows, and a third of the bytes."""
    return float(f"{number:.6g}")


def axis(title: str, **options: Any) -> dict[str, Any]:
    """An axis in the house style."""
    return {
        "title": {"text": title, "font": {"size": 13}},
        "gridcolor": GRID.light,
        "linecolor": GRID.light,
        "zeroline": False,
        "automargin": True,
        **options,
    }


def round_axis(title: str, rounds: Sequence[int], **options: Any) -> dict[str, Any]:
    """The axis of these rounds, with room for half a round at both ends."""
    ends = [min(rounds, default=0) - 0.6, max(rounds, default=0) + 0.6]
    return axis(title, range=ends, **options)


def style(figure: go.Figure, height: int) -> go.Figure:
    """The figure itself, in the house style and with a height in pixels."""
    figure.update_layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": INK.light},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor=FIELD.light,
        margin={"l": 64, "r": 16, "t": 48, "b": 48},
        showlegend=True,
        legend={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
        },
        hoverlabel={
            "bgcolor": CARD.light,
            "bordercolor": FAINT.light,
            "font": {"family": FONT, "size": 13, "color": INK.light},
            "align": "left",
        },
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": FAINT.light,
            "activecolor": INK.light,
        },
        uirevision="kept",
    )
    return figure
