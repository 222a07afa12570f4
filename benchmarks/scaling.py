"""Seconds and peak memory of a simulated round as clients, pool and workers grow.

Whole rounds of the simulator: clients are drawn from the pool, trained by the parallel
engine (600 images each, batches of 64, one epoch, MnistNet), and averaged; the model is
measured on ten images. There are 60,000 random images whatever the pool, and its clients'
shares overlap, so that clients have equally many in every case. A case runs in a process
of its own, and its second round counts; passes take turns. Memory is the process's largest
resident set, and what of it the updates are. Linux only.

    python benchmarks/scaling.py --json results/benchmarks/scaling.json
    python benchmarks/render_scaling.py
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from local_training import write_figures

from fedward.data.images import Dataset, Images
from fedward.data.partition import IID
from fedward.defenses import FedAvg
from fedward.engine import Parallel
from fedward.seeds import stream
from fedward.simulation.config import Attackers, RunConfig
from fedward.simulation.federation import Federation, federation
from fedward.simulation.rounds import simulate

CLIENTS, POOLS, WORKERS = (10, 50, 100, 500), (100, 10_000), (1, 2)
IMAGES, SHARE = 60_000, 600


def random_images(count: int) -> Images:
    """Pixels and labels that nothing can be learnt from."""
    generator = stream(0, "scaling", count)
    pixels = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.randint(10, (count,), generator=generator))


def crowd(clients: int, pool: int, workers: int) -> Federation:
    """A federation of so many clients, each with a stretch of the same images."""
    config = RunConfig(
        partition=IID(),
        clients=pool,
        clients_per_round=clients,
        rounds=2,
        attackers=Attackers(count=0),
        defense=FedAvg(),
    )
    classes = tuple(str(label) for label in range(10))
    data = Dataset("random", random_images(IMAGES), random_images(10), classes)
    order = torch.randperm(IMAGES, generator=stream(0, "scaling", "order"))
    # A prime, so that clients' stretches begin in different places.
    starts = [client * 7919 % (IMAGES - SHARE) for client in range(pool)]
    shards = [order[start : start + SHARE] for start in starts]
    fed = federation(config, data, Parallel(workers=workers))
    return replace(fed, shards=shards)


def case(clients: int, pool: int, workers: int) -> dict[str, float]:
    """The second round of two."""
    fed = crowd(clients, pool, workers)
    rounds = simulate(fed)
    next(rounds)
    begun, used = time.perf_counter(), time.process_time()
    next(rounds)
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - used,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows_mib": clients * fed.layout.params * 4 / 2**20,
    }


def main() -> None:
    """Measure, print a line a case, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--case", type=int, nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(case(*asked.case)))
        return
    cases = [each for each in product(CLIENTS, POOLS, WORKERS) if each[0] <= each[1]]
    found: dict[tuple[int, ...], list[dict[str, float]]] = {each: [] for each in cases}
    for _, each in product(range(asked.passes), cases):
        words = [sys.executable, __file__, "--case", *map(str, each)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        found[each].append(json.loads(done.stdout))
    lines = [
        {
            **dict(zip(("clients", "pool", "workers"), each, strict=True)),
            **{k: round(statistics.median(p[k] for p in passes), 3) for k in passes[0]},
        }
        for each, passes in found.items()
    ]
    for line in lines:
        print(json.dumps(line))
    if asked.json:
        about = {"samples": SHARE, "images": IMAGES, "passes": asked.passes}
        write_figures(asked.json, {"cases": lines, **about})


if __name__ == "__main__":
    main()
