"""Table and picture for ``docs/performance.md`` of what `scaling.py` found.

    python benchmarks/render_scaling.py

Rewrites what stands between the two marks in the page.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pages import PERFORMANCE, fill

ROOT = Path(__file__).parents[1]
FOUND = ROOT / "results" / "benchmarks" / "scaling.json"
PICTURE = ROOT / "docs" / "images" / "scaling.svg"

Rows = list[dict[str, Any]]
Line = Sequence[tuple[float, float]]

COLOURS = ("#0072b2", "#d55e00", "#999999")
TOP, WIDTH, HEIGHT = 40, 270, 200
"""Of the axes of one panel, in pixels."""


def table(rows: Rows) -> str:
    """One row a number of clients and a pool."""
    held = {(r["clients"], r["pool"], r["workers"]): r for r in rows}
    workers = sorted({row["workers"] for row in rows})
    heads = "".join(f" {counted(n)}, s |" for n in workers)
    lines = [
        f"| clients | pool |{heads} peak memory, MiB ({' / '.join(map(str, workers))}) "
        "| of it updates |",
        "|---:|---:|" + "---:|" * (len(workers) + 2),
    ]
    for clients, pool in dict.fromkeys((r["clients"], r["pool"]) for r in rows):
        found = [held[clients, pool, n] for n in workers]
        seconds = " | ".join(f"{row['seconds']:.3g}" for row in found)
        memory = " / ".join(f"{row['peak_mib']:,.0f}" for row in found)
        updates = f"{found[0]['rows_mib']:,.0f}"
        lines.append(f"| {clients} | {pool:,} | {seconds} | {memory} | {updates} |")
    return "\n".join(lines)


def counted(workers: int) -> str:
    """A number of workers in words."""
    return "1 worker" if workers == 1 else f"{workers} workers"


def lines_of(rows: Rows, field: str, where: Mapping[str, int]) -> Line:
    """A field by the number of clients, of rows with these values."""
    return [
        (row["clients"], row[field])
        for row in rows
        if all(row[name] == value for name, value in where.items())
    ]


class Axes:
    """Two logarithmic axes round some points.

    Attributes:
        left: where the panel begins, in pixels.
        low: smallest value on either axis, in the points' own units.
        span: of either axis, in logarithms.
    """

    def __init__(self, points: Line, left: int) -> None:
        self.left = left
        # A little room on all sides.
        self.low = [min(point[axis] for point in points) / 1.3 for axis in (0, 1)]
        high = [max(point[axis] for point in points) * 1.3 for axis in (0, 1)]
        self.span = [math.log(high[axis] / self.low[axis]) for axis in (0, 1)]

    def place(self, across: float, up: float) -> tuple[float, float]:
        """Where a point is drawn."""
        x = math.log(across / self.low[0]) / self.span[0]
        y = math.log(up / self.low[1]) / self.span[1]
        return self.left + WIDTH * x, TOP + HEIGHT * (1 - y)

    def frame(self, ticks: Sequence[float]) -> list[str]:
        """The frame, a number for every tick below, and for powers of ten at the side."""
        parts = [
            f'<rect x="{self.left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" '
            'fill="none" stroke="#cccccc"/>'
        ]
        for tick in ticks:
            x, _ = self.place(tick, 1.0)
            parts.append(
                f'<text x="{x:.0f}" y="{TOP + HEIGHT + 17}" text-anchor="middle">'
                f"{tick:,}</text>"
            )
        top = math.exp(math.log(self.low[1]) + self.span[1])
        first, last = math.ceil(math.log10(self.low[1])), math.floor(math.log10(top))
        for value in (10**power for power in range(first, last + 1)):
            _, y = self.place(self.low[0], value)
            parts += [
                f'<line x1="{self.left}" y1="{y:.0f}" x2="{self.left + WIDTH}" '
                f'y2="{y:.0f}" stroke="#eeeeee"/>',
                f'<text x="{self.left - 5}" y="{y + 4:.0f}" text-anchor="end">'
                f"{value:,}</text>",
            ]
        return parts


def panel(title: str, lines: Mapping[str, Line], left: int) -> list[str]:
    """A chart: a line with a name, a dot for every point, and its last value."""
    points = [point for line in lines.values() for point in line]
    axes = Axes(points, left)
    parts = [
        f'<text x="{left}" y="22" font-weight="bold">{title}</text>',
        *axes.frame(sorted({across for across, _ in points})),
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number]
        x, y = axes.place(*line[-1])
        above = -8 if number == 0 else 18
        foot = TOP + HEIGHT + 50 + 17 * number
        parts += [
            *drawn([axes.place(*point) for point in line], colour),
            f'<text x="{x:.0f}" y="{y + above:.0f}" text-anchor="middle" '
            f'fill="{colour}">{line[-1][1]:,.0f}</text>',
            *drawn([(left, foot - 4), (left + 18, foot - 4)], colour),
            f'<text x="{left + 24}" y="{foot}">{name}</text>',
        ]
    return parts


def drawn(points: Line, colour: str) -> list[str]:
    """A line with a dot at every point."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
    ]


def picture(rows: Rows) -> str:
    """Seconds and memory by the number of clients, side by side."""
    pools = sorted({row["pool"] for row in rows}, reverse=True)
    workers = sorted({row["workers"] for row in rows})
    seconds = {
        f"{counted(n)}, pool of {pools[0]:,}": lines_of(
            rows, "seconds", {"pool": pools[0], "workers": n}
        )
        for n in workers
    }
    most = {"workers": workers[-1]}
    memory = {
        f"{counted(workers[-1])}, pool of {pool:,}": lines_of(
            rows, "peak_mib", {"pool": pool, **most}
        )
        for pool in pools
    }
    memory["the updates"] = lines_of(rows, "rows_mib", {"pool": pools[0], **most})
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 340" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="680" height="340" fill="white"/>',
        *panel("Seconds a round, by clients", seconds, 45),
        *panel("Peak memory in MiB, by clients", memory, 385),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Write the picture, and the table into the page."""
    rows = json.loads(FOUND.read_text())["cases"]
    PICTURE.write_text(picture(rows))
    fill(PERFORMANCE, "scaling", table(rows))


if __name__ == "__main__":
    main()
