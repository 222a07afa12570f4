"""What defences hold beside usable updates: at most a quarter of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path

import torch
from fedward.defenses import DEFENSES
from fedward.layout import Layout
from fedward.protocol import Round

CLIENTS, LAYOUT = 40, Layout(("conv", "hidden", "fc"), ((64, 999), (500, 2000), (10, 500)))

def decide(name, updates, layout):
    DEFENSES[name]()(
        Round(
            updates,
            torch.ones(len(updates)),
            torch.ones(layout.params),
            layout,
            torch.arange(len(updates)),
            0,
            torch.Generator().manual_seed(0),
        )
    )

def kilobytes(field):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(field + ":")[2].split()[0])

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
small = Layout(("conv", "hidden", "fc"), ((8, 9), (16, 8), (10, 16)))
names = {names!r}
for name in names:  # what is imported and compiled is not held for the updates
    decide(name, torch.randn(CLIENTS, small.params, generator=generator), small)
updates = torch.empty(CLIENTS, LAYOUT.params)
for row in updates:
    row.normal_(generator=generator)
for name in names:
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = kilobytes("VmRSS")
    decide(name, updates, LAYOUT)
    print(name, (kilobytes("VmHWM") - before) * 1024 / updates.nbytes)
"""

NAMES = (
    "median",
    "trimmed-mean",
    "dnc",
    "flame",
    "krum",
    "multi-krum",
    "rfa",
    "foolsgold",
    "fedcc",
    "fedcc-layerwise",
    "fedward",
)


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak is read as Linux gives it"
)
def test_at_most_a_quarter_of_the_updates_beside_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{names!r}", repr(NAMES))],
        # What is freed goes back at once, so that nothing is hidden by what came before.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shares = {
        name: float(share) for name, share in map(str.split, done.stdout.splitlines())
    }
    assert set(shares) == set(NAMES)
    result = 1 / 40
    assert all(result / 2 < share < 0.25 for share in shares.values()), shares
