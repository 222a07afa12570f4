"""What a step of the stacked engine, and a question to all test images, cost on a GPU.

Slots train on random images in the paper's two models, 64 images a step. *GPU* is the time
of all kernels of a step, as PyTorch's profiler reads it; *wall* the clock's over ten steps
in a row, and *started* how long the CPU takes of that to start them. A step of one process
waits for the longer of the two; several processes share a card, which then is busy with the
kernels of all.

    python benchmarks/stacked_gpu.py --json results/benchmarks/stacked-gpu.json
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from local_training import write_figures
from torch.profiler import ProfilerActivity, profile

from fedward.engine import slots
from fedward.engine.evaluate import answers
from fedward.engine.plan import LocalTraining, Trigger, draw_plan
from fedward.engine.precision import exact_float32
from fedward.engine.slots import Slots
from fedward.engine.tables import tabulate
from fedward.layout import Layout
from fedward.models import make_model
from fedward.seeds import stream

SHAPES = {"mnistnet": (1, 28, 28), "cifarnet": (3, 32, 32)}
BATCH, STEPS, POOL, TESTED = 64, 10, 6000, 10_000


def random_images(count: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Pixels of as many images."""
    generator = stream(0, "images")
    return torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator)


def stepping(name: str, width: int, device: str) -> Callable[[], None]:
    """A step of as many slots as that, of which each trains a client of its own."""
    model = make_model(name, SHAPES[name], 10, seed=0).to(device)
    labels = torch.randint(10, (POOL,), generator=stream(0, "labels"))
    training = LocalTraining(batch_size=BATCH)
    plans = [
        draw_plan(i, torch.arange(BATCH) + i, labels, training, stream(i, "plan"))
        for i in range(width)
    ]
    pixels = random_images(POOL, SHAPES[name]).to(device)
    params = Layout.of(model).flatten(model)
    tables = tabulate(model, plans, BATCH, params, pixels)
    stack = Slots(model, params, tables, width)
    rows = torch.tensor(tables.first, device=device)
    return lambda: stack.step(pixels, rows)


def synchronise(device: str) -> None:
    """Wait for what was started."""
    if device != "cpu":
        torch.cuda.synchronize()


def milliseconds(call: Callable[[], object], device: str) -> dict[str, float]:
    """By the clock, of one of ten, and what the CPU takes of it."""
    for _ in range(2):
        call()
    synchronise(device)
    begun = time.perf_counter()
    for _ in range(STEPS):
        call()
    started = time.perf_counter() - begun
    synchronise(device)
    wall = time.perf_counter() - begun
    return {"wall": 1e3 * wall / STEPS, "started": 1e3 * started / STEPS}


def kernels(call: Callable[[], object], device: str) -> dict[str, Any]:
    """Milliseconds of a call's kernels, how many there are, and the longest."""
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
        call()
        synchronise(device)
    found = [event for event in seen.key_averages() if event.self_device_time_total > 0]
    found.sort(key=lambda event: -event.self_device_time_total)
    total = sum(event.self_device_time_total for event in found) / 1e3
    longest = {e.key[:60]: round(e.self_device_time_total / 1e3, 3) for e in found[:5]}
    return {"gpu": total, "kernels": sum(e.count for e in found), "longest": longest}


def steps(device: str) -> Iterator[dict[str, Any]]:
    """A row a model, a number of slots and a way."""
    for name, width in (("mnistnet", 32), ("mnistnet", 64), ("cifarnet", 16)):
        for way in ("kernels", "vmap"):
            plain = patch.object(slots, "fused", lambda device: nullcontext())
            with plain if way == "vmap" else nullcontext():
                step = stepping(name, width, device)
                row = {"model": name, "slots": width, "way": way}
                row |= milliseconds(step, device)
                yield {**row, **(kernels(step, device) if device != "cpu" else {})}


def questions(device: str) -> Iterator[dict[str, Any]]:
    """All test images, as they are and with a trigger, put to a model."""
    for name, shape in SHAPES.items():
        mask = torch.zeros(shape, dtype=torch.bool)
        mask[:, :2, :4] = True
        value = torch.full(shape, 255, dtype=torch.uint8)
        trigger = Trigger(mask.to(device), value.to(device))
        model = make_model(name, shape, 10, seed=0).to(device)
        params, pixels = Layout.of(model).flatten(model), random_images(TESTED, shape)
        pixels = pixels.to(device)

        def ask(
            model: Any = model,
            params: Any = params,
            pixels: Any = pixels,
            by: Any = trigger,
        ) -> object:
            return answers(model, params, pixels, [by]).cpu()

        row = {"model": name, "images": 2 * TESTED}
        yield {**row, "wall": milliseconds(ask, device)["wall"]}


def main() -> None:
    """Measure, print a line a row, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cpu to try the program itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"steps": [], "questions": []}
    with exact_float32():
        for kind, rows in (("steps", steps), ("questions", questions)):
            for row in rows(asked.device):
                print(json.dumps(row), flush=True)
                found[kind].append(row)
    if asked.json:
        card = torch.cuda.get_device_name() if asked.device != "cpu" else None
        write_figures(asked.json, {**found, "card": card})


if __name__ == "__main__":
    main()
