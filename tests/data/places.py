"""Where full data sets lie on machines that have them."""

from pathlib import Path

from tests.needs import missing

SHARED = Path(__file__).parents[3] / "shared" / "datasets"
SYSTEM = Path("/usr/share/datasets")


def full(path: Path) -> Path:
    """The path; without it the test is skipped, or fails in continuous integration."""
    if not path.exists():
        missing(path.name)
    return path
