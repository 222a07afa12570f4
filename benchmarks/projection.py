"""What Table I takes on a GPU: steps that are counted times what a step was seen to take.

Counted exactly, from the paper's own splits and draws: how many steps the stacked engine's
timetable has when several cells keep step, round after round, and how many test images are
asked about. Measured on a card, by `stacked_gpu.py`: the time of a step's kernels, and of
the questions. It is the time that the card computes; what it waits for processors, and for
processes that take turns on it, comes on top.

    python benchmarks/projection.py --json results/benchmarks/projection.json
    python benchmarks/render_projection.py
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_training import write_figures
from protocol import PROTOCOLS

from fedward.bench.grids import FIRST, SHARES
from fedward.data.sources import load
from fedward.engine import Reference
from fedward.engine.stacked import ROOM, WIDEST, filled, slot_bytes
from fedward.engine.tables import timetable
from fedward.simulation.assign import nir_partition
from fedward.simulation.config import RunConfig, from_table, to_table
from fedward.simulation.federation import Federation, federation, select, strikes

METHODS = 7
"""Of a place in the table: the paper's six and the plain mean."""

CELLS = METHODS * len(SHARES) * len(FIRST)
"""Of a data set."""

STACKS = (1, METHODS, 2 * METHODS)
"""Cells that keep step."""

MEASURED = Path(__file__).parents[1] / "results" / "benchmarks" / "stacked-h200.json"

BATCH = 64
"""Images of the steps that were measured; a smaller one takes its part of that."""


def lengths(fed: Federation, index: int) -> dict[int, list[int]]:
    """Steps of every client of a round, by the size that its steps are filled up to."""
    attack, honest = fed.config.attack, fed.config.training
    assert attack is not None
    found: dict[int, list[int]] = {}
    for client in select(fed.config, index):
        told = attack.training(honest) if strikes(fed, client, index) else honest
        count, batch = len(fed.shards[client]), told.batch_size
        if count:
            steps = told.epochs * -(-count // batch)
            found.setdefault(filled(min(count, batch)), []).append(steps)
    return found


def ticks(fed: Federation, cells: int, slots: int) -> dict[int, int]:
    """Steps of the stack by batch, for all rounds of cells of one split.

    They differ in method and poisoned share: their clients are the same.
    """
    found: dict[int, int] = {}
    for index in range(fed.config.rounds):
        for batch, steps in lengths(fed, index).items():
            found[batch] = found.get(batch, 0) + len(timetable(steps * cells, slots))
    return found


def paces(measured: dict[str, Any], model: str) -> tuple[float, float]:
    """Seconds of a slot's step, and of a test image."""
    steps = [
        row
        for row in measured["steps"]
        if row["model"] == model and row["way"] == "kernels"
    ]
    best = min(row["gpu"] / row["slots"] for row in steps)
    asked = next(row for row in measured["questions"] if row["model"] == model)
    return best / 1e3, asked["wall"] / asked["images"] / 1e3


def asked_images(fed: Federation) -> int:
    """Test images of a run, those with triggers included."""
    config, tested = fed.config, len(fed.data.test.labels)
    whole, *parts = (len(probe.indices) for probe in fed.probes)
    rounds = config.rounds
    return rounds * (tested + whole) + rounds // config.measuring.parts_every * sum(parts)


def projected(
    name: str, data_dir: Path | None, measured: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Hours of all cells of a data set, a row for every stack."""
    data, base = load(name, data_dir), PROTOCOLS[name]
    feds = [federation(config, data, Reference()) for config in places(base)]
    step, question = paces(measured, base.model)
    largest = filled(base.training.batch_size)
    asking = CELLS * asked_images(feds[0]) * question
    memory = slot_bytes(feds[0].model, largest, data.train.shape)
    slots = min(WIDEST, ROOM // memory)  # as the engine does on a large card
    for together in STACKS:
        times = CELLS / len(FIRST) / together
        counted = [ticks(fed, together, slots) for fed in feds]
        training = (
            times
            * slots
            * step
            * sum(
                count * batch / BATCH
                for by_batch in counted
                for batch, count in by_batch.items()
            )
        )
        yield {
            "dataset": name,
            "together": together,
            "slots": slots,
            "slots_bytes": slots * memory,
            "steps": round(times * sum(sum(each.values()) for each in counted)),
            "training_hours": training / 3600,
            "asking_hours": asking / 3600,
            "cell_seconds": (training + asking) / CELLS,
        }


def places(base: RunConfig) -> list[RunConfig]:
    """One cell of every split of Table I."""
    table = to_table(base)
    return [from_table({**table, "partition": nir_partition(nir, base)}) for nir in FIRST]


def main() -> None:
    """Count, print a line a row, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", default="mnist,fashion-mnist,cifar10")
    parser.add_argument("--data-dir", type=Path, help="where data sets are looked for")
    parser.add_argument("--measured", type=Path, default=MEASURED, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    measured = json.loads(asked.measured.read_text())
    rows = []
    for name in asked.datasets.split(","):
        for row in projected(name, asked.data_dir, measured):
            print(json.dumps(row), flush=True)
            rows.append(row)
    if asked.json:
        write_figures(asked.json, {"measured": asked.measured.name, "rows": rows})


if __name__ == "__main__":
    main()
