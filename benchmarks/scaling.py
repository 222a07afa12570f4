"""Seconds and peak memory of a round of local training as clients and workers grow.

The parallel engine trains so many clients with so many images each, batches of 64, one
epoch, MnistNet. Every case runs in a process of its own; the passes take turns. Memory is
the process's largest resident set, and what of it the rows of updates are. Linux only.

    python benchmarks/scaling.py --json results/benchmarks/scaling.json
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from local_training import rounds, write_figures

CLIENTS = (10, 50, 100, 200)
WORKERS = (1, 2)


def case(clients: int, samples: int, workers: int) -> dict[str, float]:
    """One round, after a short one of two clients that is not counted."""
    rounds("mnistnet", 2, 64, workers, None)["parallel"]()
    train = rounds("mnistnet", clients, samples, workers, None)["parallel"]
    begun, used = time.perf_counter(), time.process_time()
    rows = train().rows
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - used,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows_mib": rows.numel() * rows.element_size() / 2**20,
    }


def main() -> None:
    """Measure, print a line a case, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=600, help="images of every client")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--case", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        clients, workers = asked.case
        print(json.dumps(case(clients, asked.samples, workers)))
        return
    cases = [(clients, workers) for clients in CLIENTS for workers in WORKERS]
    found: dict[tuple[int, int], list[dict[str, float]]] = {each: [] for each in cases}
    for _ in range(asked.passes):
        for clients, workers in cases:
            words = ["--samples", str(asked.samples), "--case", str(clients), str(workers)]
            done = subprocess.run(
                [sys.executable, __file__, *words], capture_output=True, check=True
            )
            found[clients, workers].append(json.loads(done.stdout))
    lines = [
        {
            "clients": clients,
            "workers": workers,
            **{k: round(statistics.median(p[k] for p in passes), 3) for k in passes[0]},
        }
        for (clients, workers), passes in found.items()
    ]
    for line in lines:
        print(json.dumps(line))
    if asked.json:
        about = {"samples": asked.samples, "passes": asked.passes}
        write_figures(asked.json, {"cases": lines, **about})


if __name__ == "__main__":
    main()
