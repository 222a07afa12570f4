"""Seconds a round of local training takes on a CPU, by engine.

The workload: 10 clients with 600 images each, batches of 64, one epoch, MnistNet, no
evaluation. Passes of the engines take turns, so that whatever else slows the machine slows
all of them; the ratio of medians is what counts, not the seconds. On a machine that is busy
with other things, with one worker, the CPU seconds are the steadier ones.

    python benchmarks/local_training.py --passes 7 --json local_training.json

The engine for GPUs is measured too if its number of slots is given; on a CPU that shows why
it is not the engine there.

    python benchmarks/local_training.py --passes 5 --stacked 5

So is the reference in bfloat16 if asked for, as PyTorch's autocast has it (parameters and
steps of SGD stay float32), and how far its updates are from float32's.

    python benchmarks/local_training.py --passes 5 --workers 1 --bf16
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fedward.engine import Engine, Parallel, Reference, Stacked
from fedward.engine.plan import LocalTraining, draw_plan
from fedward.engine.seam import Trained
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from fedward.seeds import stream

BF16 = "reference, bf16"


def rounds(
    name: str,
    clients: int,
    samples: int,
    workers: int,
    *,
    slots: int | None = None,
    bf16: bool = False,
) -> dict[str, Callable[[], Trained]]:
    """One call a round for every engine, all with the same model, images and plans."""
    shape = MODELS[name].shapes[0]
    model = make_model(name, shape, 10, seed=0)
    params = Layout.of(model).flatten(model)
    images = clients * samples
    pixels = torch.randint(
        256, (images, *shape), dtype=torch.uint8, generator=stream(0, "pixels")
    )
    labels = torch.randint(10, (images,), generator=stream(0, "labels"))
    plans = [
        draw_plan(client, shard, labels, LocalTraining(), stream(0, "plan", client))
        for client, shard in enumerate(torch.arange(images).view(clients, samples))
    ]
    engines: dict[str, Engine] = {
        "reference": Reference(),
        "parallel": Parallel(workers=workers),
    }
    if slots is not None:
        engines["stacked"] = Stacked(width=slots)
    if bf16:
        # Autocast belongs to a thread, so it is of no use to an engine that starts some.
        engines[BF16] = torch.autocast("cpu", torch.bfloat16)(Reference().__call__)
    return {
        name: partial(engine, model, params, pixels, plans)
        for name, engine in engines.items()
    }


def apart(engines: Mapping[str, Callable[[], Trained]]) -> float:
    """Median over clients of ``||bf16 - float32|| / ||float32||``, of their updates."""
    exact, short = engines["reference"]().rows, engines[BF16]().rows
    far = (short - exact).norm(dim=1) / exact.norm(dim=1)
    return float(far.median())


def measure(
    engines: dict[str, Callable[[], Trained]], passes: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall-clock and CPU seconds of every pass; the first round of each is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    busy: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine()
    for _ in range(passes):
        for name, engine in engines.items():
            begun, used = time.perf_counter(), time.process_time()
            engine()
            busy[name].append(time.process_time() - used)
            seconds[name].append(time.perf_counter() - begun)
    return seconds, busy


def against_reference(taken: dict[str, list[float]]) -> dict[str, float]:
    """Every other engine's median over the reference's."""
    reference = statistics.median(taken["reference"])
    return {
        f"{name} / reference": statistics.median(passes) / reference
        for name, passes in taken.items()
        if name != "reference"
    }


def circumstances() -> dict[str, Any]:
    """Where and with what something was measured."""
    return {
        "load": os.getloadavg(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": processor(),
        "commit": commit(),
    }


def write_figures(path: Path, figures: Mapping[str, Any]) -> None:
    """Write what was measured, and the circumstances."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**figures, **circumstances()}, indent=2) + "\n")


def processor() -> str:
    """The CPU's own name where Linux tells it."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit that is checked out, or None outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None


def main() -> None:
    """Measure, print, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="mnistnet", choices=sorted(MODELS))
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--samples", type=int, default=600, help="images of every client")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="PyTorch threads as well")
    parser.add_argument("--stacked", type=int, metavar="SLOTS", help="measure it as well")
    parser.add_argument("--bf16", action="store_true", help="the reference so as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    torch.set_num_threads(asked.workers)
    engines = rounds(
        asked.model,
        asked.clients,
        asked.samples,
        asked.workers,
        slots=asked.stacked,
        bf16=asked.bf16,
    )
    seconds, busy = measure(engines, asked.passes)
    for name, taken in seconds.items():
        passes = " ".join(f"{each:.3f}" for each in taken)
        median, used = statistics.median(taken), statistics.median(busy[name])
        print(f"{name:15} median {median:.3f} s a round, {used:.3f} CPU s   ({passes})")
    ratios, cpu_ratios = against_reference(seconds), against_reference(busy)
    for pair, ratio in ratios.items():
        print(f"{pair}: {ratio:.3f}, of CPU seconds {cpu_ratios[pair]:.3f}")
    far = {BF16: apart(engines)} if asked.bf16 else {}
    for name, share in far.items():
        print(f"updates of {name}: {share:.3f} of their norm from float32's")
    if asked.json:
        figures = {
            "workload": {key: value for key, value in vars(asked).items() if key != "json"},
            "seconds": seconds,
            "cpu_seconds": busy,
            "ratios": ratios,
            "cpu_ratios": cpu_ratios,
            "apart": far,
        }
        write_figures(asked.json, figures)


if __name__ == "__main__":
    main()
