import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fedward.__main__ import STOPPED, exit_code
from fedward.attacks import DBA
from fedward.cli.run import parse_on_failure
from fedward.cli.session import Finished, Session, Stopped, print_results, results_table
from fedward.defenses import FedAvg, Fedward
from fedward.engine.plan import LocalPlan
from fedward.settings import UnknownName
from fedward.simulation import received
from fedward.simulation.config import RunConfig, clean_twin
from fedward.simulation.failures import OnFailure
from fedward.simulation.federation import Federation
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
    """Not of a defended run without attackers, nor of another trigger or window."""
    attacked = replace(SMALL, defense=FedAvg())
    quiet = replace(clean_twin(SMALL), defense=Fedward())
    other = replace(attacked, attack=DBA(epochs=1, target=3))
    short = replace(attacked, attackers=replace(SMALL.attackers, stop=SMALL.rounds - 1))
    rows = cells(
        [
            done(clean_twin(SMALL), 0.01),
            done(attacked, 0.9),
            done(quiet, 0.02),
            done(replace(attacked, seed=1), 0.8),
            done(other, 0.7),
            done(short, 0.6),
        ]
    )
    assert [(row[4], row[5]) for row in rows] == [
        ("1.00", "1.00"),
        ("90.00", "1.00"),
        ("2.00", "1.00"),
        ("80.00", "-"),
        ("70.00", "-"),
        ("60.00", "-"),
    ]


def session(runs: Path, on_failure: OnFailure, resume: bool) -> Session:
    return Session(
        runs=runs,
        data_dir=None,
        engine="reference",
        device="cpu",
        resume=resume,
        restart=False,
        on_failure=on_failure,
        quiet=True,
    )


def test_a_client_that_raises_stops_the_command_in_words_or_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = replace(SMALL, rounds=2, clients=6, attack=None)
    honest_plan = received.honest_plan

    def sick(fed: Federation, client: int, index: int) -> LocalPlan:
        plan = honest_plan(fed, client, index)
        if (client, index) != (3, 1):
            return plan
        return replace(plan, indices=plan.indices + len(fed.labels))

    monkeypatch.setattr(received, "honest_plan", sick)
    with pytest.raises(
        Stopped, match=r"client 3 failed at step 0: .*--on-failure drop"
    ) as stop:
        session(tmp_path, "stop", resume=False).run_all([config])
    assert exit_code(stop.value) == STOPPED
    (done,) = session(tmp_path, "drop", resume=True).run_all([config])
    lines = (done.folder / "rounds.jsonl").read_text().splitlines()
    assert [json.loads(line)["clients"] for line in lines] == [6, 5]


def test_policies_go_by_their_names() -> None:
    assert [parse_on_failure(name) for name in ("stop", "drop")] == ["stop", "drop"]
    with pytest.raises(UnknownName, match="Did you mean 'drop'"):
        parse_on_failure("dropp")


def test_results_are_told_where_the_report_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(SMALL, rounds=1, attack=None)
    results = session(tmp_path, "stop", resume=False).run_all([config])
    blocked = tmp_path / "a file"
    blocked.touch()
    with pytest.raises(ValueError, match=r"the report cannot be written: .*a file"):
        print_results(results, blocked / "report.html", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["report"] is None
    assert told["runs"][0]["key"] == config.key
