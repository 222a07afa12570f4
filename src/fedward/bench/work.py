"""One cell, wherever it is run: in this process, in another, or on another machine."""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Barrier
from typing import Any

import torch
from filelock import FileLock, Timeout

from fedward.bench.warmups import run_warmed
from fedward.data.images import Dataset
from fedward.data.sources import load
from fedward.engine import ENGINES, Engine, Parallel, Stacked, Together, default_engine
from fedward.engine.precision import exact_float32
from fedward.settings import lookup
from fedward.simulation.config import RunConfig
from fedward.simulation.folder import read_lines
from fedward.simulation.runner import Start, folder_of, run


@dataclass(frozen=True)
class Bench:
    """How cells are run.

    Attributes:
        runs: folder of all run folders, on storage that every worker sees.
        engine: its name; None for the best for the device.
        device: ``cpu`` or ``cuda``; workers are spread evenly over several cards.
        workers: how many there are on this machine.
        side_by_side: whether other cells run at the same time on this machine, so that
            this one is to use one CPU.
        stack: cells that are trained together in one process, by the stacked engine.
        share: whether warm-ups are shared.
        session: a name for the run of the whole grid, by which its workers know each other.
        command: what the user typed, for the record.
    """

    runs: Path
    data_dir: Path | None = None
    engine: str | None = None
    device: str = "cpu"
    workers: int = 1
    side_by_side: bool = False
    stack: int = 1
    share: bool = True
    session: str = ""
    command: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        result: what its ``result.json`` holds; None if it failed.
        rounds: the lines of its ``rounds.jsonl``.
        error: who failed and why; None if it did not.
    """

    key: str
    result: Mapping[str, Any] | None = None
    rounds: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None


def run_cells(configs: Sequence[RunConfig], bench: Bench) -> list[Outcome]:
    """Run several cells, together if there is more than one."""
    if len(configs) == 1:
        return [run_cell(configs[0], bench)]
    try:
        # Once and before, lest every thread claim a card and load its own images.
        device = own_device(bench.device, bench.session, bench.workers)
        data_set(configs[0].dataset, bench.data_dir, device)
    except Exception as error:
        return [failed(config, error) for config in configs]
    # Each run sets these for itself and puts back what it found, which must be the same
    # whoever begins or ends first.
    torch.set_num_threads(1)
    together, everybody = Together(Stacked()), Barrier(len(configs))

    def member(config: RunConfig) -> Outcome:
        with together.run():
            # Nobody trains before all are counted, whom the first is to wait for.
            everybody.wait()
            return run_cell(config, bench, together)

    with exact_float32(), ThreadPoolExecutor(len(configs)) as pool:
        try:
            return list(pool.map(member, configs))
        except BaseException:
            everybody.abort()
            together.close()
            raise


def run_cell(config: RunConfig, bench: Bench, engine: Engine | None = None) -> Outcome:
    """Run, resume or read one cell; an error is a value, so that the others go on.

    Args:
        engine: in place of the one that ``bench`` names.
    """
    try:
        result = finished(config, bench, engine)
        lines = read_lines(folder_of(config, bench.runs).rounds)
    except Exception as error:
        return failed(config, error)
    return Outcome(config.key, result, tuple(lines))


def failed(config: RunConfig, error: Exception) -> Outcome:
    """A cell that could not be run."""
    return Outcome(config.key, error=f"{type(error).__name__}: {error}")


def finished(
    config: RunConfig, bench: Bench, engine: Engine | None = None
) -> dict[str, Any]:
    """The result of a cell."""
    done = folder_of(config, bench.runs).finished()
    if done is not None:
        return done
    if bench.side_by_side:
        torch.set_num_threads(1)
    device = own_device(bench.device, bench.session, bench.workers)
    data = data_set(config.dataset, bench.data_dir, device)
    engine = engine or made_engine(bench, device)
    if bench.share:
        return run_warmed(config, data, engine, bench.runs, command=bench.command)
    return run(config, data, engine, bench.runs, Start(resume=True), command=bench.command)


def made_engine(bench: Bench, device: str) -> Engine:
    """The engine, on one CPU where cells run side by side."""
    if bench.engine is not None and bench.engine != "parallel":
        return lookup("engine", bench.engine, ENGINES)()
    if bench.engine is None and device != "cpu":
        return default_engine(device)
    return Parallel(workers=1 if bench.side_by_side else None)


@lru_cache(maxsize=1)
def data_set(name: str, data_dir: Path | None, device: str) -> Dataset:
    """Loaded once a worker, as long as its cells are about the same one."""
    return load(name, data_dir).to(device)


@cache
def own_device(device: str, session: str, workers: int = 1) -> str:
    """The device of this process: of several cards one that has fewest workers.

    A place on a card is claimed by a lock, which goes with the process, however it ends.

    Raises:
        RuntimeError: if there are more workers than there were to be.
    """
    cards = torch.cuda.device_count() if device == "cuda" else 0
    if cards < 2:
        return device
    claims = Path(tempfile.gettempdir()) / f"fedward-{os.getuid()}-{session}"
    claims.mkdir(exist_ok=True)
    places = [(turn, card) for turn in range(-(-workers // cards)) for card in range(cards)]
    deadline = time.monotonic() + 60  # the place of a worker that has just died
    while time.monotonic() < deadline:
        for turn, card in places:
            lock = FileLock(claims / f"cuda-{card}-{turn}.lock")
            try:
                _CLAIMS.append(lock.acquire(timeout=0))
            except Timeout:
                continue
            return f"cuda:{card}"
        time.sleep(0.5)
    raise RuntimeError(f"every place on the {cards} cards has a worker already")


_CLAIMS: list[Any] = []
"""Locks that this process holds until its end."""
