from pathlib import Path

import pytest

from fedward.report.runs import RunView, read_run
from tests.report.folders import Case, write_run

COMMAND = "fedward run --preset demo --defense fedavg,fedward"
CASES = (
    Case(name="fedavg, nobody attacks", defense="fedavg", quiet=True),
    Case(name="fedavg", defense="fedavg", command=COMMAND),
    Case(name="fedward", command=["fedward", "run", "--set", "note=a b"]),
)


@pytest.fixture(scope="session")
def folder_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quiet run, undefended and defended ones, in this order."""
    root = tmp_path_factory.mktemp("runs")
    for place, case in enumerate(CASES):
        write_run(root / f"{place}-{case.key}", case)
    return root


@pytest.fixture(scope="session")
def runs(folder_of_runs: Path) -> list[RunView]:
    return [read_run(folder) for folder in sorted(folder_of_runs.iterdir())]


@pytest.fixture
def labels(runs: list[RunView]) -> list[str]:
    return [run.name for run in runs]
