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
    shares = list(rows[0]["hours"])
    heads = "".join(f" {float(share):.0%} of the peak, h |" for share in shares)
    lines = [
        f"| | cells | slots | slots' memory, GB | steps | waiting, h |{heads}",
        "|---|---:|---:|---:|---:|---:|" + "---:|" * len(shares),
    ]
    for row in rows:
        hours = "".join(f" {row['hours'][share]:.2g} |" for share in shares)
        lines.append(
            f"| {row['dataset']} | {row['together']} | {row['slots']} "
            f"| {row['slots_bytes'] / 1e9:.1f} | {row['steps']:,} "
            f"| {row['waiting_hours']:.2g} |{hours}"
        )
    for stack in dict.fromkeys((row["together"], row["slots"]) for row in rows):
        of_it = [row for row in rows if (row["together"], row["slots"]) == stack]
        waiting = sum(row["waiting_hours"] for row in of_it)
        hours = "".join(
            f" **{sum(row['hours'][share] for row in of_it):.2g}** |" for share in shares
        )
        steps = sum(row["steps"] for row in of_it)
        name = f"| **all three** | {stack[0]} | {stack[1]} | "
        lines.append(f"{name}| {steps:,} | {waiting:.2g} |{hours}")
    return "\n".join(lines)


def main() -> None:
    """Fill the page."""
    fill(PERFORMANCE, "projection", table(json.loads(FOUND.read_text())["rows"]))


if __name__ == "__main__":
    main()
