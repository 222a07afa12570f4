"""Cells on real workers of every kind, one of which is killed while it trains."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fedward.bench.grid import Cell
from fedward.bench.grid_file import read_grid
from fedward.bench.work import Bench, run_cell
from fedward.simulation.folder import read_lines
from tests.bench.tiny import bits
from tests.needs import missing

MINE = """
preset = "matrix"
clean = false

[base]
dataset = "synthetic"
partition = { name = "iid" }
clients = 8
clients_per_round = 6
rounds = 30
training = { batch_size = 64, lr = 0.05 }
attackers = { count = 2, start = 2 }

[axes]
defense = ["fedavg", "median", "fedward"]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid."""
    path = tmp_path_factory.mktemp("grid") / "mine.toml"
    path.write_text(MINE)
    return path


@pytest.fixture(scope="module")
def cells(file: Path) -> tuple[Cell, ...]:
    return read_grid(file).cells


@pytest.fixture(scope="module")
def alone(
    cells: tuple[Cell, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What every cell leaves when it is run in this process, with no warm-up shared."""
    runs = tmp_path_factory.mktemp("alone")
    for cell in cells:
        assert run_cell(cell.config, Bench(runs, share=False)).error is None
    return {cell.key: bits(cell.config, runs) for cell in cells}


def kill_a_worker(runs: Path, command: subprocess.Popen[str]) -> int | None:
    """Kill the first worker that has trained a round; its number, or None if none came."""
    deadline = time.monotonic() + 300
    while command.poll() is None and time.monotonic() < deadline:
        for lock in runs.glob("*/lock.pid"):
            text = lock.read_text() if lock.exists() else ""
            if text and read_lines(lock.with_name("rounds.jsonl")):
                os.kill(int(text), signal.SIGKILL)
                return int(text)
        time.sleep(0.001)
    return None


@pytest.mark.parametrize("backend", ["local", "ray", "dask"])
def test_a_killed_worker_costs_nothing(
    backend: str,
    file: Path,
    cells: tuple[Cell, ...],
    alone: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Two workers, the real command; the result is that of the serial run, bit for bit."""
    needed = {"ray": "ray", "dask": "distributed"}.get(backend)
    if needed and importlib.util.find_spec(needed) is None:
        missing(needed)
    words = ["bench", str(file), "--backend", backend, "--jobs", "2", "--json"]
    command = subprocess.Popen(
        [sys.executable, "-m", "fedward", *words, "--runs", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = kill_a_worker(tmp_path, command)
    stdout, stderr = command.communicate(timeout=300)
    assert killed is not None
    assert killed != command.pid
    assert command.returncode == 0, stderr
    printed = json.loads(stdout)
    assert [cell["state"] for cell in printed["cells"]] == ["finished"] * 3
    for cell, told in zip(cells, printed["cells"], strict=True):
        assert told["result"]["params_sha256"] == alone[cell.key][1]
        assert bits(cell.config, tmp_path) == alone[cell.key]
