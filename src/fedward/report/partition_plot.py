"""Who holds what: one stacked bar a client, a colour a class, in a file of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fedward.data.partition import rarity
from fedward.report.palette import axis, literal, style

# P. Tol, *Colour schemes*, 2021, https://sronpersonalpages.nl/~pault/: the muted scheme,
# distinct in all common kinds of colour blindness.
HUES = (
    "#332288",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#999933",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#aa4499",
    "#bbbbbb",
)
# For classes beyond the hues.
TEXTURES = ("", "/", "x", ".")
HEIGHT = 600


def partition_figure(
    mix: Int64[Tensor, "clients classes"], classes: Sequence[str], title: str
) -> go.Figure:
    """Stacked bars of every client's images by class, with buttons to sort and to scale."""
    held, rare = mix.sum(dim=1), rarity(mix)
    shares = mix / held.clamp(min=1)[:, None]
    names = [str(client) for client in range(len(mix))]
    figure = go.Figure()
    for label, name in enumerate(classes):
        figure.add_bar(
            name=literal(name),
            x=names,
            y=mix[:, label].tolist(),
            customdata=torch.stack(
                (mix[:, label].double(), shares[:, label].double(), held.double(), rare), 1
            ).tolist(),
            # Not %{y}: it turns into percent with the bars.
            hovertemplate=(
                f"client %{{x}}, {literal(name)}: %{{customdata[0]:,}} images "
                "(%{customdata[1]:.0%})<br>of %{customdata[2]:,}, "
                "rarity %{customdata[3]:.2f}<extra></extra>"
            ),
            marker={
                "color": HUES[label % len(HUES)],
                "line": {"width": 0},
                "pattern": {"shape": TEXTURES[label // len(HUES) % len(TEXTURES)]},
            },
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.12,
        xaxis=axis("Client", type="category", categoryorder="array", categoryarray=names),
        yaxis=axis("Images"),
        updatemenus=[_order(held, rare), _scale()],
    )
    style(figure, HEIGHT)
    figure.update_layout(
        title={
            "text": literal(title),
            "x": 0,
            "xanchor": "left",
            "xref": "paper",
            "y": 0.96,
            "yanchor": "top",
            "yref": "container",
        },
        margin={"t": 140},
        legend={"traceorder": "normal"},
        paper_bgcolor="white",
    )
    return figure


def write_partition_plot(
    mix: Int64[Tensor, "clients classes"], classes: Sequence[str], title: str, out: Path
) -> None:
    """Write the figure as one HTML file that opens from disk with no network.

    Raises:
        ValueError: if the file cannot be written.
    """
    page = partition_figure(mix, classes, title).to_html(
        include_plotlyjs=True,
        div_id="partition",
        default_height=f"{HEIGHT}px",
        config={"displaylogo": False, "responsive": True},
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"the plot needs a file that can be written, got {out} ({error.strerror})"
        ) from error


def _order(
    held: Int64[Tensor, " clients"], rare: Float64[Tensor, " clients"]
) -> dict[str, Any]:
    orders = {
        "by number": torch.arange(len(held)),
        "largest first": held.argsort(descending=True, stable=True),
        "rarest first": rare.argsort(descending=True, stable=True),
    }
    return _buttons(
        0.0,
        [
            (text, {"xaxis.categoryarray": [str(client) for client in order.tolist()]})
            for text, order in orders.items()
        ],
    )


def _scale() -> dict[str, Any]:
    return _buttons(
        1.0,
        [
            ("images", {"barnorm": "", "yaxis.title.text": "Images"}),
            ("shares", {"barnorm": "percent", "yaxis.title.text": "Percent of images"}),
        ],
    )


def _buttons(side: float, states: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {
        "type": "buttons",
        "direction": "right",
        "x": side,
        "xanchor": "left" if side == 0 else "right",
        "y": 1.22,
        "yanchor": "top",
        "showactive": True,
        "buttons": [
            {"label": text, "method": "relayout", "args": [change]}
            for text, change in states
        ],
    }
