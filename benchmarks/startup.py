"""Seconds from the command to the beginning of the first round, on embedded data.

A fresh process runs ``fedward run`` up to the moment in which the engine is handed the
first round's clients, and ends there. Beside the seconds on the clock stand those of the
CPU, which other processes disturb less. Linux only.

    python benchmarks/startup.py --passes 5 --json results/benchmarks/startup.json
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_training import write_figures

FIRST_ROUND = """
import os, time
from fedward.engine.parallel import Parallel
def begun(*given):
    used = os.times()
    print(time.monotonic(), used.user + used.system, flush=True)
    os._exit(0)
Parallel.__call__ = begun
from fedward.__main__ import main
main()
"""
WHOLE = "import os, time; {}; t = os.times(); print(time.monotonic(), t.user + t.system)"
CASES = {
    "first round of the demonstration": (
        FIRST_ROUND,
        *("run", "--preset", "demo", "--defense", "fedward", "--quiet", "--runs"),
    ),
    "import fedward": (WHOLE.format("import fedward"),),
    "import torch": (WHOLE.format("import torch"),),
}


def once(words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds on the clock and of the CPU until a new process says that it is there."""
    with tempfile.TemporaryDirectory() as folder:
        told = (*words, folder) if words[-1] == "--runs" else words
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", *told],
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
    there, used = done.stdout.split()[:2]
    return float(there) - begun, float(used)


def main() -> None:
    """Measure, print, and write a file if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    asked = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(asked.passes):
        for name, words in CASES.items():
            taken[name].append(once(words))
    seconds = {
        name: {
            "clock": round(statistics.median(clock for clock, _ in passes), 2),
            "cpu": round(statistics.median(cpu for _, cpu in passes), 2),
            "passes": passes,
        }
        for name, passes in taken.items()
    }
    for name, found in seconds.items():
        print(f"{name:34} {found['clock']:.2f} s, of the CPU {found['cpu']:.2f} s")
    if asked.json:
        write_figures(asked.json, {"seconds": seconds})


if __name__ == "__main__":
    main()
