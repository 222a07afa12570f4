"""Seconds a round and peak memory of simulators on one and the same workload.

FedAvg, 10 clients with 600 MNIST images each, batches of 64, one epoch, the network of two
convolutions and a hidden layer of 500, no evaluation (`peers/workload.py`). Every peer
lives in a process of its own, and all but ours and the plain DataLoader way in an
environment of its own, which is made under ``--cache`` at the first run. The passes take
turns, so that whatever else slows the machine slows all of them; first rounds are not
counted. Memory is the proportional set size of a process and everything it started. Linux
only.

    python benchmarks/simulation_speed.py --json results/benchmarks/simulation_speed.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from local_training import circumstances

from fedward.data.sources import load

HERE = Path(__file__).parent
IMAGES = 10 * 600


@dataclass(frozen=True)
class Peer:
    """A simulator.

    Attributes:
        words: its program and what the program is told beside the images.
        install: what its environment holds; None for that of this process.
    """

    name: str
    words: tuple[str, ...]
    install: tuple[str, ...] | None = None


PEERS = (
    Peer("Fedward, parallel", ("fedward_rounds.py", "parallel")),
    Peer("Fedward, reference", ("fedward_rounds.py", "reference")),
    Peer("byzfl", ("byzfl_rounds.py",), ("byzfl==0.0.11",)),
    Peer("pfl-research", ("pfl_rounds.py",), ("pfl==0.6.0",)),
    Peer("Flower", ("flower_rounds.py",), ("flwr[simulation]==1.41.0",)),
    Peer("DataLoader a client", ("loaders.py",)),
)


def python_of(peer: Peer, cache: Path) -> str:
    """The interpreter of a peer's environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: with what pip said, if it cannot be made.
    """
    if peer.install is None:
        return sys.executable
    folder = cache / peer.install[0].partition("=")[0].partition("[")[0]
    done, python = folder / "installed.json", str(folder / "bin" / "python")
    wanted = [f"torch=={torch.__version__}", *peer.install]
    if not done.exists() or json.loads(done.read_text()) != wanted:
        subprocess.run(
            [sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True
        )
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *wanted],
            check=True,
            capture_output=True,
            text=True,
        )
        done.write_text(json.dumps(wanted))
    return python


@dataclass
class Running:
    """A peer that is ready for its next round."""

    peer: Peer
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    def wait(self) -> None:
        """Until the peer has done what it was asked.

        Raises:
            RuntimeError: if it ended instead.
        """
        if self.process.stdout is None or self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.peer.name} ended with {self.process.wait()}")

    def ask(self) -> None:
        """For one round."""
        if self.process.stdin is None:
            raise RuntimeError(f"{self.peer.name} cannot be asked")
        self.process.stdin.write("round\n")
        self.process.stdin.flush()

    def round(self) -> None:
        """One round, on the clock and in time of the CPUs."""
        begun, used = time.perf_counter(), cpu_time(self.process.pid)
        with self.watched():
            self.ask()
            self.wait()
        self.seconds.append(time.perf_counter() - begun)
        self.cpu_seconds.append(cpu_time(self.process.pid) - used)

    @contextmanager
    def watched(self, every: float = 0.2) -> Iterator[None]:
        """Keep the largest memory that is seen meanwhile."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every):
                self.peak_mib = max(self.peak_mib, memory(self.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def end(self) -> None:
        """No more rounds."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()


def family(root: int) -> list[int]:
    """A process and all that it started, and they started."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def memory(root: int) -> float:
    """MiB of a family; a page that several hold is counted once among them."""
    total = 0
    for process in family(root):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")
        )
    return total / 1024


def cpu_time(root: int) -> float:
    """CPU seconds that a family and its members that are gone have used."""
    ticks = 0
    for process in family(root):
        try:
            text = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            continue
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def started(
    peers: list[Peer], images: Path, cache: Path
) -> tuple[list[Running], dict[str, str]]:
    """Every peer that could be installed and got ready, and why the others could not."""
    running, failed = [], {}
    for peer in peers:
        try:
            python = python_of(peer, cache)
        except subprocess.CalledProcessError as error:
            failed[peer.name] = str(error.stderr).strip()[-400:]
            continue
        program, *told = peer.words
        process = subprocess.Popen(
            [python, str(HERE / "peers" / program), str(images), *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_of(peer, cache).open("w"),
            text=True,
        )
        running.append(Running(peer, process))
    for one in list(running):
        try:
            one.wait()
            one.ask()
            one.wait()
        except (RuntimeError, OSError) as error:
            said = log_of(one.peer, cache).read_text().strip()[-400:]
            failed[one.peer.name] = f"{error}: {said}"
            running.remove(one)
    return running, failed


def log_of(peer: Peer, cache: Path) -> Path:
    """What a peer says beside its answers."""
    return cache / f"{peer.name.replace(' ', '-')}.log"


def images_file(cache: Path, data_dir: Path | None) -> Path:
    """The first 6,000 training images, where every peer finds them."""
    train = load("mnist", data_dir).train
    file = cache / "images.npz"
    np.savez(
        file, images=train.pixels[:IMAGES, 0].numpy(), labels=train.labels[:IMAGES].numpy()
    )
    return file


def measure(running: list[Running], passes: int, most: float) -> None:
    """Let everybody take turns, so often or until so many seconds are over."""
    begun = time.perf_counter()
    for done in range(passes):
        if done >= 3 and time.perf_counter() - begun > most:
            return
        for one in running:
            one.round()


def report(running: list[Running], failed: dict[str, str]) -> dict[str, Any]:
    """Medians, and our ratio to each."""
    clock = {one.peer.name: statistics.median(one.seconds) for one in running}
    cpu = {one.peer.name: statistics.median(one.cpu_seconds) for one in running}
    ours = PEERS[0].name if PEERS[0].name in clock else next(iter(clock))
    return {
        "peers": {
            one.peer.name: {
                "installed": one.peer.install,
                "seconds": [round(taken, 4) for taken in one.seconds],
                "cpu_seconds": [round(used, 2) for used in one.cpu_seconds],
                "median": round(clock[one.peer.name], 3),
                "median_cpu": round(cpu[one.peer.name], 2),
                "ours_over_this": round(clock[ours] / clock[one.peer.name], 3),
                "ours_over_this_cpu": round(cpu[ours] / cpu[one.peer.name], 3),
                "peak_mib": round(one.peak_mib, 1),
            }
            for one in running
        },
        "failed": failed,
        "cpus": len(os.sched_getaffinity(0)),
        **circumstances(),
    }


def main() -> None:
    """Measure, print, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--most", type=float, default=240, help="seconds, after 3 passes")
    parser.add_argument("--peers", nargs="+", default=[peer.name for peer in PEERS])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "fedward" / "benchmarks"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    peers = [peer for peer in PEERS if peer.name in asked.peers]
    images = images_file(asked.cache, asked.data_dir)
    running, failed = started(peers, images, asked.cache)
    print("measuring", *(one.peer.name for one in running), file=sys.stderr, sep="\n  ")
    try:
        measure(running, asked.passes, asked.most)
    finally:
        for one in running:
            one.end()
    figures = report(running, failed)
    print(json.dumps(figures, indent=2))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
