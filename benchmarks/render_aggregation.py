"""Tables and a picture for ``docs/performance.md`` of what `aggregation_speed.py` found.

    python benchmarks/render_aggregation.py

Rewrites what stands between the two marks in the page.
"""

import json
import math
from html import escape
from pathlib import Path
from typing import Any

from pages import PERFORMANCE, fill

ROOT = Path(__file__).parents[1]
FOUND = ROOT / "results" / "benchmarks" / "aggregation_speed.json"
NEWER = FOUND.with_name("aggregation_speed-zen4.json")
"""The same on another processor, without memory, which does not depend on it."""

PICTURE = ROOT / "docs" / "images" / "aggregation.svg"

Rows = list[dict[str, Any]]


def cases(times: Rows) -> list[tuple[int, int]]:
    """Parameters and clients of every case, small ones first."""
    return sorted({(row["params"], row["clients"]) for row in times})


def table(times: Rows) -> str:
    """Ratios to the mean, one row a method, one column a case."""
    held = {(r["method"], r["params"], r["clients"]): r for r in times}
    columns = cases(times)
    heads = " | ".join(f"d {params:,}, m {clients}" for params, clients in columns)
    lines = [f"| | {heads} |", "|---|" + "---:|" * len(columns)]
    for method in dict.fromkeys(row["method"] for row in times):
        found = [held.get((method, *case)) for case in columns]
        lines.append(f"| {method} | " + " | ".join(map(cell, found)) + " |")
    return "\n".join(lines)


def cell(row: dict[str, Any] | None) -> str:
    """Milliseconds of the mean, ratios of the others; an asterisk for a single pass."""
    if row is None:
        return ""
    if row["method"] == "torch.mean(0)":
        return f"{1e3 * row['seconds']:.3g} ms"
    return f"{row['ratio']:.3g}" + ("*" if row["passes"] == 1 else "")


def shares(memory: Rows) -> str:
    """Extra memory, one row a method."""
    lines = ["| | model | m | extra memory, share of the updates |", "|---|---|---:|---:|"]
    for row in sorted(memory, key=lambda row: (row["model"], row["share"])):
        where = f"{row['model']} | {row['clients']}"
        lines.append(f"| {row['method']} | {where} | {100 * row['share']:.1f} % |")
    return "\n".join(lines)


def picture(times: Rows, model: str, clients: int) -> str:
    """Bars of the ratios of one case, on a logarithmic axis."""
    bars = [r for r in times if (r["model"], r["clients"]) == (model, clients)]
    bars.sort(key=lambda row: row["ratio"])
    low = min(row["ratio"] for row in bars) / 1.5
    scale = 420 / math.log(max(row["ratio"] for row in bars) / low)
    height = 24 * len(bars) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="760" height="{height}" fill="white"/>',
        f'<text x="10" y="20">Time as a multiple of torch.mean(0): {clients} updates of '
        f"{bars[0]['params']:,} parameters (logarithmic)</text>",
    ]
    for place, row in enumerate(bars):
        y, width = 34 + 24 * place, scale * math.log(row["ratio"] / low)
        colour = "#0072b2" if row["method"].startswith("Fedward") else "#999999"
        parts += [
            f'<text x="250" y="{y + 13}" text-anchor="end">{escape(row["method"])}</text>',
            f'<rect x="258" y="{y}" width="{width:.0f}" height="17" fill="{colour}"/>',
            f'<text x="{263 + width:.0f}" y="{y + 13}">{row["ratio"]:.3g}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Write the picture, and the tables into the page."""
    found = json.loads(FOUND.read_text())
    PICTURE.write_text(picture(found["times"], "cifarnet", 50))
    tables = f"{table(found['times'])}\n\n{shares(found['memory'])}"
    fill(PERFORMANCE, "aggregation", tables)
    newer = json.loads(NEWER.read_text())
    fill(PERFORMANCE, "aggregation on Zen 4", table(newer["times"]))


if __name__ == "__main__":
    main()
