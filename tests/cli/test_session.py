from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from fedward.attacks import DBA
from fedward.cli.session import Finished, results_table
from fedward.defenses import FedAvg, Fedward
from fedward.simulation.config import RunConfig, clean_twin
from tests.simulation.small import SMALL


def done(config: RunConfig, aasr: float | None) -> Finished:
    metrics = dict.fromkeys(("ma_final", "asr_final", "aer", "brr"))
    return Finished(config, Path(), {"metrics": {**metrics, "aasr": aasr}})


def cells(runs: list[Finished]) -> list[list[str]]:
    page = StringIO()
    Console(file=page, width=200).print(results_table(runs))
    lines = page.getvalue().splitlines()
    return [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_the_floor_is_of_the_runs_own_clean_twin() -> None:
    """Not of a defended run without attackers, nor of a twin with another trigger."""
    attacked = replace(SMALL, defense=FedAvg())
    quiet = replace(clean_twin(SMALL), defense=Fedward())
    other = replace(attacked, attack=DBA(epochs=1, target=3))
    rows = cells(
        [
            done(clean_twin(SMALL), 0.01),
            done(attacked, 0.9),
            done(quiet, 0.02),
            done(replace(attacked, seed=1), 0.8),
            done(other, 0.7),
        ]
    )
    assert [(row[4], row[5]) for row in rows] == [
        ("1.00", "1.00"),
        ("90.00", "1.00"),
        ("2.00", "1.00"),
        ("80.00", "-"),
        ("70.00", "-"),
    ]
