"""What Table I would take on a GPU that nobody has tried it on: counted, not measured.

Counted exactly, from the paper's own splits and draws: how many steps the stacked engine's
timetable has when several cells keep step, round after round, and the operations of a step
if every convolution is summed directly. Measured here: how long the CPU takes to start all
operations of a step, or of a batch of test images, when they have next to nothing to
compute; a GPU waits at least for that, unless the step is recorded in a CUDA graph.

Supposed: which share of the card's float32 peak the products reach. A row of the result is
for one of several. A step takes what it starts for or what it computes for, whichever is
longer; loading, the defences and what several threads cost each other are left out, so it
is a bound from below for each supposition.

    python benchmarks/projection.py --json results/benchmarks/projection.json
    python benchmarks/render_projection.py
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from local_training import write_figures
from protocol import PROTOCOLS, operations
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from fedward.bench.grids import FIRST, SHARES
from fedward.data.sources import load
from fedward.engine import Reference, Stacked
from fedward.engine.evaluate import BATCH, whole_images
from fedward.engine.stacked import filled, slot_bytes
from fedward.engine.tables import timetable
from fedward.simulation.assign import nir_partition
from fedward.simulation.config import RunConfig, from_table, to_table
from fedward.simulation.rounds import (
    Federation,
    federation,
    first_state,
    honest_plan,
    select,
    strikes,
)

METHODS = 7
"""Of a place in the table: the paper's six and the plain mean."""

CELLS = METHODS * len(SHARES) * len(FIRST)
"""Of a data set."""

STACKS = ((1, 16), (METHODS, 16), (METHODS, 64), (CELLS, 128))
"""Cells that keep step, and slots; the last is all cells of a data set."""

PEAK = 66.9e12
"""Float32 operations a second of an H100 SXM outside its tensor cores (NVIDIA's data
sheet)."""

POOR, FAIR, GOOD = 0.02, 0.1, 0.3
"""Supposed shares of it."""


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


def ticks(feds: Sequence[Federation], cells: int, slots: int) -> dict[int, int]:
    """Steps of the stack by batch, for all rounds of cells that are spread over splits.

    Cells of one split differ in method and poisoned share: their clients are the same.
    """
    each, rest = divmod(cells, len(feds))
    assert not rest
    found: dict[int, int] = {}
    for index in range(feds[0].config.rounds):
        together: dict[int, list[int]] = {}
        for fed in feds:
            for batch, steps in lengths(fed, index).items():
                together.setdefault(batch, []).extend(steps * each)
        for batch, steps in together.items():
            found[batch] = found.get(batch, 0) + len(timetable(steps, slots))
    return found


class Started(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that are started, without those that only look elsewhere."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """One more, if it computes something."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def started(call: Callable[[], object]) -> int:
    """Operations that a call starts."""
    counter = Started()
    with counter:
        call()
    return counter.count


def seconds(call: Callable[[], object], passes: int = 15) -> float:
    """The median, after two tries."""
    taken = []
    for _ in range(passes + 2):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[2:])


STEPS = 40
"""Steps whose cost is the difference of training twice as many and training as many."""


def trainings(fed: Federation) -> tuple[Callable[[], object], Callable[[], object]]:
    """Training of one client on one image in one slot: `STEPS` steps, and twice as many."""
    pixels, params = fed.data.train.pixels[:1], first_state(fed).params
    plan = honest_plan(replace(fed, shards=[torch.zeros(1, dtype=torch.int64)]), 0, 0)
    engine = Stacked(width=1)

    def train(count: int) -> object:
        longer = replace(
            plan,
            indices=plan.indices[:1].repeat(count),
            labels=plan.labels[:1].repeat(count),
            stamped=plan.stamped[:1].repeat(count),
            sizes=(1,) * count,
            lr=(plan.lr[0],) * count,
        )
        return engine(fed.model, params, pixels, [longer]).complete()

    return partial(train, STEPS), partial(train, 2 * STEPS)


def asking(fed: Federation) -> Callable[[], object]:
    """The model's answer to one test image."""

    def answer() -> object:
        with torch.inference_mode():
            return whole_images(fed.model, ())(fed.data.test.pixels[:1])

    return answer


def starting(fed: Federation) -> dict[str, float]:
    """Seconds to start one operation of a step, and of a batch of test images."""
    few, many = trainings(fed)
    answer = asking(fed)
    return {
        "step": (seconds(many) - seconds(few)) / (started(many) - started(few)),
        "test": seconds(answer) / started(answer),
    }


def answering(fed: Federation) -> float:
    """Operations of one forward pass, an image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        fed.model(torch.zeros(2, *fed.data.train.shape))
    return float(counter.get_total_flops()) / 2


def asked_images(fed: Federation) -> int:
    """Test images of a run, those with triggers included."""
    config, tested = fed.config, len(fed.data.test.labels)
    whole, *parts = (len(probe.indices) for probe in fed.probes)
    rounds = config.rounds
    return rounds * (tested + whole) + rounds // config.measuring.parts_every * sum(parts)


def projected(
    name: str, data_dir: Path | None, start: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """Hours of all cells of a data set, a row for every stack."""
    data, base = load(name, data_dir), PROTOCOLS[name]
    feds = [federation(config, data, Reference()) for config in places(base)]
    first = feds[0]
    few, many = trainings(first)
    launched = (started(many) - started(few)) / STEPS
    waits = launched * start["step"]
    step, tests = operations(first), CELLS * asked_images(first)
    largest = filled(base.training.batch_size)
    test_waits = tests / BATCH * started(asking(first)) * start["test"]
    for together, slots in STACKS:
        # Stacks of one place are worked out for every split; the largest holds all splits.
        groups = [[fed] for fed in feds] if together <= METHODS else [feds]
        times = CELLS // together // len(groups)
        counted = [ticks(group, together, slots) for group in groups]
        steps = times * sum(sum(by_batch.values()) for by_batch in counted)
        hours = {}
        for share in POOR, FAIR, GOOD:
            rate = share * PEAK
            training = times * sum(
                count * max(waits, slots * batch * step / rate)
                for by_batch in counted
                for batch, count in by_batch.items()
            )
            asking_takes = max(test_waits, tests * answering(first) / rate)
            hours[str(share)] = (training + asking_takes) / 3600
        yield {
            "dataset": name,
            "together": together,
            "slots": slots,
            "steps": steps,
            "started_a_step": launched,
            "waiting_hours": (steps * waits + test_waits) / 3600,
            "slots_bytes": slots * slot_bytes(first.model, largest, data.train.shape),
            "hours": hours,
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    # The smallest model on the smallest images computes least besides.
    small = federation(PROTOCOLS["mnist"], load("mnist", asked.data_dir), Reference())
    start = starting(small)
    print(json.dumps(start))
    rows = []
    for name in asked.datasets.split(","):
        for row in projected(name, asked.data_dir, start):
            print(json.dumps(row), flush=True)
            rows.append(row)
    if asked.json:
        figures = {"peak": PEAK, "seconds_to_start": start, "rows": rows}
        write_figures(asked.json, figures)


if __name__ == "__main__":
    main()
