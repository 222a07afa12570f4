"""What a round costs on one server, and on edges with a centre: bytes and seconds.

Bytes are counted. Seconds are CPU seconds on this machine, the median of passes that take
turns; edges work side by side, so one of them is measured, and moving bytes is not
measured but computed from the rate of a link.

    python benchmarks/scale.py --clients 100 --edges 4 --model mnistnet --passes 5
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from fedward.defenses.fedward import Fedward
from fedward.edge_reports import EdgeReport, edge_report, report_bytes
from fedward.hierarchy import (
    Combined,
    Decision,
    central_decision,
    combine,
    edge_partial_sum,
)
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from fedward.protocol import Aggregation, Round
from fedward.seeds import stream


def traffic(layout: Layout, clients: int, edges: int) -> dict[str, int]:
    """Bytes that a server receives, or the centre receives and sends, beside the model."""
    model = 4 * layout.params
    return {
        "one server receives": clients * model,
        "the centre receives reports": report_bytes(layout, clients),
        "the centre sends weights": 8 * clients,
        "the centre receives sums": edges * model,
    }


def make_updates(layout: Layout, clients: int) -> Tensor:
    """Honest updates around a common direction, and a fifth that turns it round."""
    generator = stream(0, "updates")
    common = torch.randn(layout.params, generator=generator)
    updates = torch.empty(clients, layout.params)
    for row in range(clients):
        turned = -1 if row < clients // 5 else 1
        updates[row] = turned * common + torch.randn(layout.params, generator=generator)
    return updates


class TwoLevels:
    """The steps of one round, each of which can be timed."""

    def __init__(self, updates: Tensor, layout: Layout, edges: int) -> None:
        self.updates, self.layout = updates, layout
        self.rows = torch.arange(len(updates)).tensor_split(edges)
        self.reports = [self.report(edge) for edge in range(edges)]
        self.decision = self.decide()
        self.sums = [self.sum(edge) for edge in range(edges)]

    def report(self, edge: int = 0) -> EdgeReport:
        """What one edge sends."""
        rows = self.rows[edge]
        held = self.updates[int(rows[0]) : int(rows[-1]) + 1]
        return edge_report(held, rows, self.layout)

    def decide(self) -> Decision:
        """What the centre decides."""
        return central_decision(self.reports, self.layout, Fedward())

    def sum(self, edge: int = 0) -> Tensor:
        """What one edge returns."""
        rows = self.rows[edge]
        held = self.updates[int(rows[0]) : int(rows[-1]) + 1]
        return edge_partial_sum(held, self.decision.orders[edge])

    def combine(self) -> Combined:
        """The update."""
        return combine(self.sums, self.decision, self.layout)


def one_server(updates: Tensor, layout: Layout) -> Aggregation:
    """The same round in one place."""
    return Fedward()(
        Round(
            updates,
            torch.ones(len(updates)),
            torch.zeros(layout.params),
            layout,
            torch.arange(len(updates)),
            0,
            torch.Generator(),
        )
    )


def measure(steps: dict[str, Callable[[], object]], passes: int) -> dict[str, float]:
    """Median CPU seconds of every step; the first pass is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for count in range(passes + 1):
        for name, step in steps.items():
            begun = time.process_time()
            step()
            if count:
                taken[name].append(time.process_time() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Check that both ways agree, then count and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="mnistnet", choices=sorted(MODELS))
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--edges", type=int, default=4)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--gigabits", type=float, default=1.0, help="a second, of a link")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    layout = Layout.of(make_model(asked.model, MODELS[asked.model].shapes[0], 10, seed=0))
    updates = make_updates(layout, asked.clients)
    levels, flat = TwoLevels(updates, layout, asked.edges), one_server(updates, layout)
    orders = levels.decision.orders
    if sum((order.verdicts for order in orders), ()) != flat.verdicts:
        raise SystemExit("the two ways disagree about the clients")
    torch.testing.assert_close(levels.combine().update, flat.update, rtol=1e-5, atol=1e-6)
    counted = traffic(layout, asked.clients, asked.edges)
    seconds = measure(
        {
            "one server": lambda: one_server(updates, layout),
            "an edge's report": levels.report,
            "the centre's decision": levels.decide,
            "an edge's sum": levels.sum,
            "the centre's total": levels.combine,
        },
        asked.passes,
    )
    print(f"{asked.clients} clients, {asked.edges} edges, {layout.params:,} parameters")
    for name, size in counted.items():
        at_rate = size / (asked.gigabits * 125e6)
        print(
            f"{name:30s} {size / 1e6:10.2f} MB {at_rate:9.2f} s at {asked.gigabits} Gbit/s"
        )
    for name, value in seconds.items():
        print(f"{name:30s} {value:10.3f} CPU seconds")
    if asked.json is not None:
        asked.json.write_text(
            json.dumps({"bytes": counted, "cpu_seconds": seconds}, indent=2)
        )


if __name__ == "__main__":
    main()
