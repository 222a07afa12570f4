"""What a cell of the paper's protocol costs, and where the time of a round goes.

The first rounds of the paper's configuration of a data set, whose attack begins after them,
and as many of those under attack, Fedward defending; everything that a run does in a round
is done, and measured as the run itself measures it. From the medians follows what a cell of
all rounds takes.

How much of the processor that uses: multiplications and additions that training needs if
every convolution is summed directly (three times those of the forward pass, one of the
three spared in the first layer), a second, beside those of a product of two matrices of
1024 x 1024 in single precision on the same number of threads. Where convolutions are done
by their spectrum, which needs fewer, the share can pass 100 %.

    python benchmarks/protocol.py --json results/benchmarks/protocol.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from local_training import write_figures
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from fedward.attacks import DBA
from fedward.data.images import Dataset
from fedward.data.sources import load
from fedward.engine import Parallel
from fedward.engine.workers import usable_cpus
from fedward.simulation.config import RunConfig
from fedward.simulation.federation import Federation, federation
from fedward.simulation.presets import CIFAR10, FASHION, MNIST
from fedward.simulation.records import RoundRecord
from fedward.simulation.rounds import simulate

PROTOCOLS = {"mnist": MNIST, "fashion-mnist": FASHION, "cifar10": CIFAR10}
PHASES = ("train", "defend", "evaluate")


def peak(threads: int, size: int = 1024, passes: int = 30) -> float:
    """The best rate of a product of two matrices, in operations a second."""
    torch.set_num_threads(threads)
    left, right = torch.randn(2, size, size)
    best = float("inf")
    for _ in range(passes):
        begun = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - begun)
    torch.set_num_threads(1)
    return 2 * size**3 / best


def operations(fed: Federation) -> float:
    """Of training on one image, forwards and backwards."""
    images = torch.zeros(2, *fed.data.train.shape)
    with FlopCounterMode(display=False) as counter:
        loss: Any = cross_entropy(fed.model(images), torch.zeros(2, dtype=torch.int64))
        loss.backward()
    fed.model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops()) / 2


def trained_images(fed: Federation, record: RoundRecord) -> int:
    """Images that passed through local training in a round, an epoch counting each once."""
    attack, training = fed.config.attack, fed.config.training
    assert isinstance(attack, DBA)
    epochs = (training.epochs, attack.epochs)
    return sum(
        len(fed.shards[client.client]) * epochs[bool(client.malicious)]
        for client in record.clients
    )


def middle(records: Sequence[RoundRecord]) -> dict[str, float]:
    """Median seconds by phase."""
    return {
        phase: statistics.median(record.seconds[phase] for record in records)
        for phase in PHASES
    }


def measured(
    config: RunConfig, data: Dataset, attacked: int, workers: int
) -> dict[str, Any]:
    """The first rounds of a cell, and what follows for the whole of it."""
    rounds, start = config.rounds, config.attackers.start
    every = config.measuring.parts_every
    config = replace(config, rounds=start + attacked)
    fed = federation(config, data, Parallel(workers=workers))
    records = [record for _, record in simulate(fed)]
    quiet = middle([record for record in records if not record.attacked][1:])
    under = [record for record in records if record.attacked]
    # Rounds in which the parts of the trigger are measured as well are told apart.
    plain = middle([record for record in under if len(record.asr) == 1])
    parts = [record for record in under if len(record.asr) > 1]
    with_parts = (rounds - start) // every if parts else 0
    extra = middle(parts)["evaluate"] - plain["evaluate"] if parts else 0.0
    cell = (
        start * sum(quiet.values())
        + (rounds - start) * sum(plain.values())
        + with_parts * extra
    )
    rate = statistics.median(
        trained_images(fed, record) * operations(fed) / record.seconds["train"]
        for record in under
    )
    return {
        "dataset": config.dataset,
        "rounds_measured": len(records),
        "quiet": quiet,
        "attacked": plain,
        "evaluation_share": plain["evaluate"] / sum(plain.values()),
        "every_second": plain["evaluate"]
        / (plain["evaluate"] + 2 * (plain["train"] + plain["defend"])),
        "parts_seconds": extra,
        "cell_rounds": rounds,
        "cell_seconds": cell,
        "operations_per_second": rate,
    }


def main() -> None:
    """Measure, print a line a data set, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", default="mnist,fashion-mnist")
    parser.add_argument("--attacked", type=int, default=11, help="rounds under attack")
    parser.add_argument("--workers", type=int, default=usable_cpus())
    parser.add_argument("--data-dir", type=Path, help="where data sets are looked for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    best = peak(asked.workers)
    lines = []
    for name in asked.datasets.split(","):
        data = load(name, asked.data_dir)
        line = measured(PROTOCOLS[name], data, asked.attacked, asked.workers)
        line["share_of_peak"] = line["operations_per_second"] / best
        lines.append(line)
        print(json.dumps(line))
    if asked.json:
        figures = {"workers": asked.workers, "peak_operations_per_second": best}
        write_figures(asked.json, {"cells": lines, **figures})


if __name__ == "__main__":
    main()
