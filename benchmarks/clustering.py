"""CPU seconds of AutoOPTICS, and of scikit-learn's OPTICS on the same distances.

Random points with two clusters, one in five in the smaller. Ours is everything: ``eps``,
core distances, the order of the visit, the walk and the majority group. scikit-learn's is
the walk alone. One thread; medians of passes that take turns.

    OMP_NUM_THREADS=1 python benchmarks/clustering.py --clients 100 1000 5000 10000
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable

import sklearn
import torch
from sklearn.cluster import OPTICS
from torch import Tensor

from fedward.ops.auto_optics import auto_optics
from fedward.seeds import stream

DIMENSIONS = 32
"""Of the points; clustering sees nothing but their distances."""

PEER_UP_TO = 2000
"""Clients from which scikit-learn is left out: it takes minutes."""


def points(clients: int) -> Tensor:
    """Two clouds, the smaller one a fifth."""
    cloud = torch.randn(clients, DIMENSIONS, generator=stream(0, "points")).double()
    cloud[: clients // 5] += 4.0
    return cloud


def cpu_seconds(task: Callable[[], object]) -> float:
    """Of this process."""
    began = time.process_time()
    task()
    return time.process_time() - began


def measured(clients: int, passes: int) -> dict[str, float]:
    """Medians by method."""
    cloud = points(clients)
    gaps = torch.cdist(cloud, cloud)
    gaps.fill_diagonal_(0.0)
    tasks: dict[str, Callable[[], object]] = {
        "AutoOPTICS": lambda: auto_optics(cloud, gaps, "nearest-others")
    }
    if clients <= PEER_UP_TO:
        peer = OPTICS(min_samples=-(-clients // 2) + 1, metric="precomputed")
        tasks["scikit-learn's OPTICS"] = lambda: peer.fit(gaps.numpy())
    spent: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(passes):
        for name, task in tasks.items():
            spent[name].append(cpu_seconds(task))
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def main() -> None:
    """Print a line of JSON for every number of clients."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    # Its extraction of clusters divides by reachabilities that are zero.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    about = {"torch": torch.__version__, "scikit-learn": sklearn.__version__}
    for clients in options.clients:
        found = measured(clients, options.passes)
        print(json.dumps({"clients": clients, "cpu_seconds": found, **about}), flush=True)


if __name__ == "__main__":
    main()
