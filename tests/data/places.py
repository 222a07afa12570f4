"""Where full data sets lie on machines that have them; tests skip where they do not."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared" / "datasets"
SYSTEM = Path("/usr/share/datasets")


def full(path: Path) -> Path:
    """The path, or a skipped test."""
    if not path.exists():
        pytest.skip(f"needs {path.name}, which this machine lacks")
    return path
