"""Table for ``docs/performance.md`` of what `projection.py` worked out.

    python benchmarks/render_projection.py

Rewrites what stands between the two marks in the page.
"""

import json
from pathlib import Path
from typing import Any

from pages import PERFORMANCE, fill

FOUND = Path(__file__).parents[1] / "results" / "benchmarks" / "projection.json"


def table(rows: list[dict[str, Any]]) -> str:
    """One row a data set and stack, and the whole of Table I for every stack."""
    lines = [
        "| | cells | slots | memory, GB | steps | training, h | asking, h | cell, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['dataset']} | {row['together']} | {row['slots']} "
            f"| {row['slots_bytes'] / 1e9:.1f} | {row['steps']:,} "
            f"| {row['training_hours']:.3f} | {row['asking_hours']:.3f} "
            f"| {row['cell_seconds']:.1f} |"
        )
    for together in dict.fromkeys(row["together"] for row in rows):
        of_it = [row for row in rows if row["together"] == together]
        training = sum(row["training_hours"] for row in of_it)
        asking = sum(row["asking_hours"] for row in of_it)
        steps = sum(row["steps"] for row in of_it)
        lines.append(
            f"| **all three: {training + asking:.2f} h** | {together} | | "
            f"| {steps:,} | {training:.2f} | {asking:.2f} | |"
        )
    return "\n".join(lines)


def main() -> None:
    """Fill the page."""
    fill(PERFORMANCE, "projection", table(json.loads(FOUND.read_text())["rows"]))


if __name__ == "__main__":
    main()
