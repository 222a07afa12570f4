"""Fig. 3 of the paper, ours: how many attackers each method admits, as bars."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fedward.report.grid_cells import Entry
from fedward.report.grid_sheets import Line, Sheet, split_text
from fedward.report.palette import INK, RUNS, axis, literal, shorten, style

HATCHES = ("", "/", "x", ".", "\\", "+", "-", "|")


def escapes(sheets: Sequence[Sheet]) -> go.Figure | None:
    """AER of every method that selects, a panel a sheet, with what the paper's text states.

    Bars are means over seeds with 95 % intervals; a diamond is the paper's. None if there
    is neither.
    """
    shown = [sheet for sheet in sheets if any(map(_tells, sheet.entries))]
    if not shown:
        return None
    figure = make_subplots(
        rows=len(shown),
        cols=1,
        subplot_titles=[literal(sheet.title) for sheet in shown],
        vertical_spacing=0.32 / max(2, len(shown)),
    )
    top = max(_highest(entry) for sheet in shown for entry in sheet.entries)
    names = _methods(shown)
    for row, sheet in enumerate(shown, start=1):
        _panel(figure, row, sheet, names, min(108.0, max(20.0, 115 * top)))
    if max(len(_categories(sheet)) for sheet in shown) * len(names) > 24:
        figure.update_traces(text=None, selector={"type": "bar"})
    figure.add_trace(_legend(), row=1, col=1)
    figure.update_layout(barmode="group", scattermode="group", bargap=0.18)
    style(figure, 110 + 300 * len(shown))
    figure.update_layout(legend={"y": 1.0 + 40 / (300 * len(shown))}, margin={"t": 84})
    return figure


def _methods(sheets: Sequence[Sheet]) -> list[str]:
    """Methods of which anything is known, as the grid has them."""
    lines = [line for sheet in sheets for line in _lines(sheet)]
    telling = {line.method for line in lines if any(c and _tells(c) for c in line.cells)}
    return [name for name in dict.fromkeys(x.method for x in lines) if name in telling]


def _panel(
    figure: go.Figure, row: int, sheet: Sheet, names: Sequence[str], top: float
) -> None:
    for number, name in enumerate(names):
        cells = _cells(sheet, name)
        for trace in (_bar(cells, name, number, row == 1), _stated(cells, name, number)):
            if trace is not None:
                figure.add_trace(trace, row=row, col=1)
    places = _categories(sheet)
    # Room for six places, so that a single bar is not as wide as the page.
    across = {"range": [-0.5, max(len(places), 6) - 0.5], "categoryarray": places}
    figure.update_xaxes(axis("", type="category", showgrid=False, **across), row=row, col=1)
    figure.update_yaxes(
        axis("Attackers admitted (AER)", ticksuffix=" %", range=[0, top]), row=row, col=1
    )


def _tells(entry: Entry) -> bool:
    """Whether anybody knows how many attackers it admits."""
    return entry.share("aer") is not None or entry.stated is not None


def _highest(entry: Entry) -> float:
    """The tallest thing that is drawn of it, as a share."""
    made, stated = entry.share("aer"), entry.stated
    return max(
        0.0 if made is None else made.mean + (made.half or 0.0),
        0.0 if stated is None else stated.aer,
    )


def _lines(sheet: Sheet) -> list[Line]:
    return [line for block in sheet.blocks for line in block.lines]


def _cells(sheet: Sheet, method: str) -> list[tuple[str, Entry]]:
    """Cells of a method with where they stand on the axis, split by split."""
    return [
        (_category(cell), cell)
        for place, _ in enumerate(sheet.nirs)
        for block in sheet.blocks
        for line in block.lines
        if line.method == method and (cell := line.cells[place]) is not None
    ]


def _categories(sheet: Sheet) -> list[str]:
    """Places on the axis, split by split and from the smallest poisoned share."""
    cells = [
        cell
        for place, _ in enumerate(sheet.nirs)
        for line in _lines(sheet)
        if (cell := line.cells[place]) is not None
    ]
    return list(dict.fromkeys(map(_category, cells)))


def _category(entry: Entry) -> str:
    pdr = entry.at.get("pdr")
    split = split_text(entry.at["nir"])
    return split if pdr is None else f"{split}<br>PDR {pdr} %"


def _bar(
    cells: Sequence[tuple[str, Entry]], name: str, number: int, legend: bool
) -> go.Bar | None:
    known = [(x, made) for x, entry in cells if (made := entry.share("aer")) is not None]
    if not cells:
        return None
    # A method of which nothing is known keeps its place among the others' bars.
    heights: list[float | None] = [shorten(100 * made.mean) for _, made in known]
    return go.Bar(
        x=[x for x, _ in known] or [cells[0][0]],
        y=heights or [None],
        error_y={
            "type": "data",
            "array": [shorten(100 * (made.half or 0.0)) for _, made in known],
            "visible": any(made.half for _, made in known),
            "color": INK.light,
            "thickness": 1.2,
        },
        customdata=[made.n for _, made in known],
        text=[f"{100 * made.mean:.1f}" for _, made in known],
        textposition="outside",
        textfont={"size": 10},
        cliponaxis=False,
        name=literal(name),
        legendgroup=literal(name),
        showlegend=legend,
        offsetgroup=str(number),
        marker={
            "color": RUNS[number % len(RUNS)].light,
            "pattern": {"shape": HATCHES[number % len(HATCHES)], "solidity": 0.25},
        },
        hovertemplate="%{x}<br>AER %{y:.2f} %, n = %{customdata}",
    )


def _stated(
    cells: Sequence[tuple[str, Entry]], name: str, number: int
) -> go.Scatter | None:
    stated = [(x, entry.stated) for x, entry in cells if entry.stated is not None]
    if not stated:
        return None
    return go.Scatter(
        x=[x for x, _ in stated],
        y=[shorten(100 * found.aer) for _, found in stated],
        customdata=["about " if found.about else "" for _, found in stated],
        name=f"{literal(name)} in the paper's text",
        legendgroup=literal(name),
        showlegend=False,
        offsetgroup=str(number),
        mode="markers",
        cliponaxis=False,
        marker=_diamond(RUNS[number % len(RUNS)].light),
        hovertemplate="%{x}<br>the paper's text: %{customdata}%{y:.2f} %",
    )


def _diamond(colour: str) -> dict[str, object]:
    line = {"width": 1.5, "color": INK.light}
    return {"symbol": "diamond", "size": 10, "color": colour, "line": line}


def _legend() -> go.Scatter:
    """An entry of the legend that explains all diamonds."""
    return go.Scatter(
        x=[None],
        y=[None],
        name="stated in the paper's text",
        mode="markers",
        marker={**_diamond("rgba(0,0,0,0)"), "symbol": "diamond-open", "color": INK.light},
        hoverinfo="skip",
    )
