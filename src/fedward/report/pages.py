"""One HTML file that holds a whole page and opens from disk with no network."""

import json
import os
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fedward.report import palette


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


def fill(template: str, **content: Any) -> str:
    """A page as text: a template of ``page/`` with its content, style and scripts."""
    environment = Environment(
        loader=PackageLoader("fedward.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        **content,
        hues=[(i, colour.light, colour.dark) for i, colour in enumerate(palette.RUNS)],
        pairs=script_json(json.dumps(palette.PAIRS)),
        plotly=Markup(get_plotlyjs()),
        version=version("fedward"),
    )


def write_page(page: str, out: Path) -> Path:
    """Write a file, its folders made; it appears whole or not at all."""
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


def chart(id: str, title: str, figure: go.Figure | None) -> Chart | None:
    """A figure for the page; None of none."""
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


def script_json(text: str) -> Markup:
    """JSON that cannot end the script element it stands in; it parses to the same value."""
    for unsafe in "<>&\u2028\u2029":
        text = text.replace(unsafe, f"\\u{ord(unsafe):04x}")
    return Markup(text)
