"""Where a number came from: versions, device, threads and commit."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

VARIABLE = "FEDWARD_COMMIT"
"""Environment variable that says it where there is no checkout, in a container say."""


@cache
def commit() -> str | None:
    """The source's commit, with ``+`` if files differ from it.

    Outside a checkout what `VARIABLE` says, or None.
    """
    return checked_out() or os.environ.get(VARIABLE)


def checked_out() -> str | None:
    """The commit of the checkout that this file is part of, if it is part of one."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) not in here.parents:
            return None
        # An installed copy inside somebody else's repository is not a checkout of ours.
        git("ls-files", "--error-unmatch", str(Path(__file__)))
        return git("rev-parse", "--short=12", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def provenance(device: str, engine: str, command: str | None = None) -> dict[str, Any]:
    """What has to stand beside every number; a command, where there was one."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_name()
    return {
        "fedward": version("fedward"),
        "torch": torch.__version__,
        **({"triton": triton()} if device.startswith("cuda") else {}),
        "python": platform.python_version(),
        "device": f"{device} ({name})",
        "threads": torch.get_num_threads(),
        "engine": engine,
        "commit": commit(),
        "command": command,
    }


def triton() -> str | None:
    """Version of Triton, whose kernels train on a GPU; None where they do not."""
    try:
        return version("triton")
    except PackageNotFoundError:
        return None


def trainer(engine: str, device: str) -> str:
    """What goes on with a run to the same bits: an engine, on a GPU by its name."""
    if not device.startswith("cuda"):
        return engine
    return f"{engine} on {torch.cuda.get_device_name(device)}, Triton {triton()}"


def cpu_name() -> str:
    """The processor as the system calls it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [
        line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()
