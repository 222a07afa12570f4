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
WIDTH, HEIGHT = 270, 200
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


def panel(title: str, lines: Mapping[str, Line], left: int) -> list[str]:
    """A chart with logarithmic axes; a line with a name and a mark for every point."""
    points = [point for line in lines.values() for point in line]
    low = [min(p[axis] for p in points) / 1.3 for axis in (0, 1)]
    span = [math.log(max(p[a] for p in points) * 1.3 / low[a]) for a in (0, 1)]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = math.log(point[0] / low[0]) / span[0]
        up = math.log(point[1] / low[1]) / span[1]
        return left + WIDTH * across, 40 + HEIGHT * (1 - up)

    parts = [
        f'<text x="{left}" y="22" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="40" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        'stroke="#cccccc"/>',
    ]
    for clients in sorted({point[0] for point in points}):
        x, _ = place((clients, low[1] * 2))
        parts.append(f'<text x="{x:.0f}" y="257" text-anchor="middle">{clients}</text>')
    first, last = math.ceil(math.log10(low[1])), math.log10(low[1]) + span[1] / math.log(10)
    for power in range(first, math.floor(last) + 1):
        _, y = place((low[0], 10**power))
        parts += [
            f'<line x1="{left}" y1="{y:.0f}" x2="{left + WIDTH}" y2="{y:.0f}" '
            'stroke="#eeeeee"/>',
            f'<text x="{left - 5}" y="{y + 4:.0f}" text-anchor="end">{10**power:,}</text>',
        ]
    for number, (name, line) in enumerate(lines.items()):
        parts += drawn([place(point) for point in line], COLOURS[number])
        x, y = place(line[-1])
        above = -8 if number == 0 else 18
        foot = 290 + 17 * number
        parts += [
            f'<text x="{x:.0f}" y="{y + above:.0f}" text-anchor="middle" '
            f'fill="{COLOURS[number]}">{line[-1][1]:,.0f}</text>',
            *drawn([(left, foot - 4), (left + 18, foot - 4)], COLOURS[number]),
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
    crowd = max(row["pool"] for row in rows)
    seconds = {
        f"{counted(n)}, pool of {crowd:,}": lines_of(
            rows, "seconds", {"pool": crowd, "workers": n}
        )
        for n in (1, 2)
    }
    memory = {
        f"pool of {pool:,}": lines_of(rows, "peak_mib", {"pool": pool, "workers": 2})
        for pool in sorted({row["pool"] for row in rows}, reverse=True)
    }
    memory["the updates"] = lines_of(rows, "rows_mib", {"pool": crowd, "workers": 2})
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
