"""What deciding a round costs: milliseconds, ratios to a plain mean, and extra memory.

Every method sees the same updates in the same process. Passes are interleaved, so that a
machine that drifts slows all of them; ratios are of medians, to ``torch.mean(0)``. A method
that has used up its seconds makes no further pass, and the table says how many it made.

    python benchmarks/aggregation_speed.py --json out.json
    python benchmarks/aggregation_speed.py --json out.json --memory --clients 50
    python benchmarks/aggregation_speed.py --clients 10 --models mnistnet --quick

``--quick`` leaves out what takes seconds. With ``--memory``: what each method adds at its
peak to the updates that it is given, in a process of its own; Linux only.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fedward.defenses import Fedward, Flame, Krum, Median, TrimmedMean
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from fedward.ops.amgrad import amgrad
from fedward.ops.kernels import kernels
from fedward.ops.means import weighted_sum
from fedward.ops.sign_sum import sign_sum
from fedward.ops.signatures import signatures
from fedward.protocol import Defense, Round

CLIENTS = (10, 50, 100)
SIZES = ("mnistnet", "cifarnet", "resnet18")
LARGEST_SLOW = 50 * 12_000_000
"""Entries up to which the methods that take seconds are run."""


@dataclass(frozen=True)
class Case:
    """One matrix of updates, in the forms that the methods want."""

    round: Round
    lists: list[tuple[list[NDArray[Any]], int]]

    @property
    def updates(self) -> torch.Tensor:
        """Rows of clients."""
        return self.round.updates


def make_case(size: str, clients: int) -> Case:
    """Updates round a common direction, a fifth of them, the first ones, another way.

    They are differences of float32 models, as real ones are, so some entries are zero.
    """
    network = make_model(size, MODELS[size].shapes[0], 10, seed=0)
    layout = Layout.of(network)
    params = layout.flatten(network)
    generator = torch.Generator().manual_seed(clients)
    common = torch.randn(layout.params, generator=generator)
    updates = torch.empty(clients, layout.params)
    for row in range(clients):
        away = 2.0 if row < clients // 5 else 0.7
        own = torch.randn(layout.params, generator=generator)
        update = 1e-3 * (common * (-1 if row < clients // 5 else 1) + away * own)
        updates[row] = (params + update) - params
    round = Round(
        updates=updates,
        weights=torch.ones(clients),
        params=params,
        layout=layout,
        clients=torch.arange(clients),
        index=0,
        generator=generator,
    )
    lists = [([row[s].numpy() for s in layout.slices], 1) for row in updates]
    return Case(round, lists)


def decided(defense: Defense, case: Case) -> object:
    """The defence's update; a held round would cost too little to be compared."""
    result = defense(case.round)
    if result.held is not None:
        raise RuntimeError(f"{defense} held the round: {result.held}")
    return result.update


def flower_fedavg(case: Case) -> object:
    """Flower's mean of lists of arrays."""
    from flwr.server.strategy.aggregate import aggregate

    return aggregate(case.lists)


def flower_krum(case: Case) -> object:
    """Flower's Krum."""
    from flwr.server.strategy.aggregate import aggregate_krum

    return aggregate_krum(case.lists, len(case.lists) // 5, 0)


def flame_float64(case: Case) -> object:
    """FLAME written down plainly: float64 models, cosines, HDBSCAN, clipped mean."""
    from sklearn.cluster import HDBSCAN

    models = case.updates.double() + case.round.params
    models /= models.norm(dim=1, keepdim=True)
    gaps = (1 - models @ models.T).clamp(min=0).fill_diagonal_(0)
    found = HDBSCAN(
        min_cluster_size=len(gaps) // 2 + 1,
        min_samples=1,
        allow_single_cluster=True,
        metric="precomputed",
        copy=True,
    )
    kept = torch.from_numpy(found.fit_predict(gaps.numpy()) >= 0)
    rows = case.updates.double()
    norms = rows.norm(dim=1)
    factors = (norms.median() / norms).clamp(max=1) * kept / kept.sum()
    return (rows * factors[:, None]).sum(dim=0)


def authors_way(case: Case) -> object:
    """The amplified matrix in float64, scikit-learn's OPTICS on it, the sum of signs."""
    from sklearn.cluster import OPTICS

    amplified = amgrad(case.updates.double(), case.round.layout, "ternary")
    found = OPTICS(min_samples=len(amplified) // 2, cluster_method="dbscan", eps=1e9)
    labels = torch.from_numpy(found.fit_predict(amplified.numpy()))
    return sign_sum(case.updates, labels >= 0)


def scipy_trim_mean(case: Case) -> object:
    """SciPy's trimmed mean, a fifth off either end."""
    from scipy.stats import trim_mean

    return trim_mean(case.updates.numpy(), 0.2, axis=0)


METHODS: dict[str, Callable[[Case], object]] = {
    "torch.mean(0)": lambda case: case.updates.mean(0),
    "weighted sum": lambda case: weighted_sum(
        case.updates, torch.full((len(case.updates),), 1 / len(case.updates))
    ),
    "Fedward, all of it": lambda case: decided(
        Fedward(), replace(case, round=replace(case.round, signatures=None))
    ),
    "Fedward, signatures made on arrival": lambda case: decided(Fedward(), case),
    "Flower FedAvg": flower_fedavg,
    "FLAME": lambda case: decided(Flame(), case),
}

SLOW: dict[str, Callable[[Case], object]] = {
    "Flower Krum": flower_krum,
    "FLAME, float64 and HDBSCAN": flame_float64,
    "the authors' way, float64 matrix": authors_way,
    "Krum": lambda case: decided(Krum(), case),
    "Median": lambda case: decided(Median(), case),
    "TrimmedMean": lambda case: decided(TrimmedMean(), case),
    "torch.median(0)": lambda case: case.updates.median(0),
    "scipy trim_mean": scipy_trim_mean,
}


def timed(
    case: Case, methods: dict[str, Callable[[Case], object]], passes: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds of every pass of every method, interleaved.

    All are run on a small case first, which loads and compiles what they need; those that
    do not take seconds also once on this one.
    """
    small = signed(make_case("mnistnet", 10))
    for name, method in methods.items():
        method(small)
        if name in METHODS:
            method(case)
    took: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(passes):
        for name, method in methods.items():
            if sum(took[name]) < seconds:
                began = time.perf_counter()
                method(case)
                took[name].append(time.perf_counter() - began)
    return took


def memory(field: str) -> int:
    """Bytes of this process: ``VmRSS`` now, or ``VmHWM`` at most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in lines if x.startswith(field)).split()[1]) * 1024


def forget_peak() -> None:
    """Give freed memory back, so that a round cannot hide in it, and begin anew."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def extra_memory(name: str, size: str, clients: int) -> dict[str, float]:
    """Peak beside the updates, in this process, as a share of them."""
    method = (METHODS | SLOW)[name]
    method(make_case("mnistnet", 10))  # loads what it loads
    case = make_case(size, clients)
    if name == "Fedward, signatures made on arrival":
        case = signed(case)
    forget_peak()
    before = memory("VmRSS")
    kept = method(case)
    added = memory("VmHWM") - before
    del kept
    return {"added_bytes": added, "share": added / case.updates.nbytes}


def signed(case: Case) -> Case:
    """With signatures in the round."""
    made = signatures(case.updates, case.round.layout)
    return replace(case, round=replace(case.round, signatures=made))


def times(size: str, clients: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One case: seconds of every method and ratios to the mean."""
    case = signed(make_case(size, clients))
    small = case.updates.numel() <= LARGEST_SLOW
    methods = METHODS if options.quick or not small else METHODS | SLOW
    if options.without:
        methods = {
            name: run for name, run in methods.items() if name not in options.without
        }
    took = timed(case, methods, options.passes, options.seconds)
    base = statistics.median(took["torch.mean(0)"])
    about_case = {
        "model": size,
        "params": case.round.layout.params,
        "clients": clients,
        "accepted_by_fedward": int(Fedward()(case.round).accepted.sum()),
    }
    return [
        {
            "method": name,
            **about_case,
            "seconds": statistics.median(passes),
            "fastest": min(passes),
            "passes": len(passes),
            "ratio": statistics.median(passes) / base,
        }
        for name, passes in took.items()
    ]


def shares(size: str, clients: int, quick: bool) -> list[dict[str, Any]]:
    """Extra memory of the methods, each in a process of its own."""
    found = []
    for name in METHODS if quick else METHODS | SLOW:
        words = [sys.executable, __file__, "--case", name, size, str(clients)]
        done = subprocess.run(words, capture_output=True, check=True)
        row = {"method": name, "model": size, "clients": clients}
        found.append({**row, **json.loads(done.stdout)})
    return found


def about() -> dict[str, Any]:
    """What it was measured on."""
    import numba

    names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x]
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "numba": numba.__version__,
        "loops": getattr(kernels(), "__name__", ""),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Measure, print a line of JSON for each, and write all of it to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--models", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="of one method in a case"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--without", nargs="+", choices=[*METHODS, *SLOW][1:], default=())
    parser.add_argument("--memory", action="store_true", help="extra memory, not time")
    parser.add_argument("--json", type=Path, help="what is measured is added to this file")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, size, count = options.case
        print(json.dumps(extra_memory(name, size, int(count))))
        return
    if options.json and options.json.exists():
        result = json.loads(options.json.read_text())
    else:
        result = {"times": [], "memory": []}
    for size in options.models:
        for clients in options.clients:
            if options.memory:
                found = shares(size, clients, options.quick)
            else:
                result["about"] = about()
                found = times(size, clients, options)
            for row in found:
                print(json.dumps(row), flush=True)
            result["memory" if options.memory else "times"] += found
            if options.json:
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
