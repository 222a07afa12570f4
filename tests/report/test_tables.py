import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from fedward.report.palette import DASH
from fedward.report.runs import RunView, read_run
from fedward.report.tables import (
    METRICS,
    Table,
    command,
    find_clean,
    floor,
    metrics_table,
    parts_table,
    percent,
    provenance_table,
    settings_table,
)
from tests.report.conftest import COMMAND
from tests.report.folders import Case, write_run


def as_dict(table: Table) -> dict[str, dict[str, str]]:
    """Texts by row and column."""
    heads = [column.text for column in table.columns[1:]]
    return {
        row.heading.text: dict(zip(heads, (cell.text for cell in row.cells), strict=True))
        for row in table.rows
    }


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.00 %"),
        (1.0, "100.00 %"),
        (0.931, "93.10 %"),
        (0.12345, "12.35 %"),
        (None, DASH),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize("share", [math.nan, math.inf])
def test_what_is_no_number_is_a_dash(share: float) -> None:
    assert percent(share) == DASH


def test_numbers_in_the_table_are_those_of_the_store(
    folder_of_runs: Path, runs: list[RunView], labels: list[str]
) -> None:
    table = as_dict(metrics_table(runs, labels))
    for folder in folder_of_runs.iterdir():
        stored = json.loads((folder / "result.json").read_text())
        row = table[stored["name"]]
        for key, value in stored["metrics"].items():
            if key in METRICS and METRICS[key][0] in row:
                assert row[METRICS[key][0]] == percent(value)
    assert set(table) == set(labels)
    assert set(table["fedward"]) == {"Rounds"} | {
        heading for key, (heading, _) in METRICS.items() if key != "brr_unattacked"
    }
    assert table["fedavg"]["AER"] == table["fedavg"]["BRR"] == DASH


def test_every_attack_success_stands_beside_its_floor(
    runs: list[RunView], labels: list[str]
) -> None:
    table = metrics_table(runs, labels)
    quiet = runs[0].result
    assert quiet is not None
    heads = [column.text for column in table.columns[1:]]
    for row in table.rows[1:]:
        notes = {
            head: cell.note
            for head, cell in zip(heads, row.cells, strict=True)
            if cell.note
        }
        assert notes == {
            METRICS[key][0]: f"floor {percent(quiet.metrics[key])}"  # type: ignore[arg-type]
            for key in ("aasr", "aasr_from_10", "asr_final")
        }
    assert {cell.note for cell in table.rows[0].cells} == {""}


def test_floor_is_the_mean_over_the_rounds_of_the_attacked_run(
    runs: list[RunView],
) -> None:
    quiet, _, struck = runs
    assert quiet.result is not None
    bare = replace(quiet, result=replace(quiet.result, metrics={"asr_final": 0.5}))
    asr = {record.round: record.asr["whole"] for record in quiet.rounds}
    window = {**struck.config["attackers"], "stop": 8}
    early = replace(struck, config={**struck.config, "attackers": window})
    for clean in (quiet, bare):
        for run, stop in ((struck, 30), (early, 8)):
            low = floor(run, [clean, run], "aasr")
            assert low == pytest.approx(fmean(asr[n] for n in range(5, stop)))
            # This mean goes to the end, whenever the attack stops.
            low = floor(run, [clean, run], "aasr_from_10")
            assert low == pytest.approx(fmean(asr[n] for n in range(10, 30)))
    seldom = tuple(r if r.round % 2 else replace(r, asr={}) for r in struck.rounds)
    low = floor(replace(struck, rounds=seldom), [quiet, struck], "aasr")
    assert low == pytest.approx(fmean(asr[n] for n in range(5, 30, 2)))
    assert floor(struck, [bare, struck], "asr_final") == 0.5
    assert floor(struck, [bare, struck], "ma_final") is None
    assert floor(struck, [struck], "aasr") is None


def test_floor_comes_from_the_most_similar_clean_run(tmp_path: Path) -> None:
    cases = {
        "other data": Case(
            name="q", defense="fedavg", quiet=True, dataset="cifar10", planned=6
        ),
        "no attack": Case(name="q", defense="fedavg", attack=None, planned=6),
        "other seed": Case(name="q", defense="fedavg", quiet=True, seed=2, planned=6),
        "twin": Case(name="q", defense="fedavg", quiet=True, seed=1, planned=6),
        "struck": Case(name="s", seed=1, planned=6),
    }
    runs = {
        name: read_run(write_run(tmp_path / name, case)) for name, case in cases.items()
    }
    everyone = list(runs.values())
    assert find_clean(runs["struck"], everyone) is runs["twin"]
    assert find_clean(runs["twin"], everyone) is None
    without = [run for run in everyone if run not in (runs["twin"], runs["other seed"])]
    assert find_clean(runs["struck"], without) is None


def test_unfinished_run_shows_only_its_last_measurements(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "x", Case(name="x", done=7)))
    assert as_dict(metrics_table([run], ["x"])) == {
        "x": {
            "Rounds": "7 of 30",
            "MA, final": percent(run.rounds[-1].ma),
            "ASR, final": percent(run.rounds[-1].asr["whole"]),
        }
    }


def test_metrics_of_newer_versions_are_shown_as_they_are(runs: list[RunView]) -> None:
    result = runs[2].result
    assert result is not None
    run = replace(runs[2], result=replace(result, metrics={"novel": 12.3456, "parts": {}}))
    assert as_dict(metrics_table([run], ["x"])) == {"x": {"Rounds": "30", "novel": "12.35"}}


def test_parts_have_a_table_of_their_own(runs: list[RunView], labels: list[str]) -> None:
    table = parts_table(runs, labels)
    assert table is not None
    result = runs[2].result
    assert result is not None
    parts = result.metrics["aasr_parts"]
    assert isinstance(parts, dict)
    assert as_dict(table)["fedward"] == {
        name: percent(value) for name, value in parts.items()
    }
    assert parts_table([replace(runs[2], result=None)], ["x"]) is None


def test_settings_stand_side_by_side(tmp_path: Path) -> None:
    cases = [Case(name="a", attack=None, planned=2), Case(name="b", planned=2, seed=7)]
    runs = [read_run(write_run(tmp_path / case.name, case)) for case in cases]
    table = settings_table(runs, ["a", "b"])
    rows = as_dict(table)
    assert rows["attack.name"] == {"a": "none", "b": "dba"}
    assert rows["attack.pdr"] == {"a": DASH, "b": "0.3125"}
    assert rows["seed"] == {"a": "0", "b": "7"}
    assert "key" not in rows
    differing = {row.heading.text for row in table.rows if row.differs}
    assert {"attack.name", "attack.pdr", "seed"} <= differing
    assert "partition.alpha" not in differing
    names = [row.heading.text for row in table.rows]
    assert names[names.index("attack.name") + 1].startswith("attack.")


def test_provenance_says_key_seed_versions_and_time(
    runs: list[RunView], labels: list[str]
) -> None:
    rows = as_dict(provenance_table(runs, labels))
    for run, label in zip(runs, labels, strict=True):
        assert run.result is not None
        assert rows["key"][label] == run.key
        assert rows["folder"][label] == run.folder.name
        assert rows["torch"][label] == "2.13.0"
        assert rows["commit"][label] == "0123abc"
        assert rows["seed"][label] == "0"
        assert rows["final model (SHA-256)"][label] == run.result.params_sha256
        train = fmean(record.seconds["train"] for record in run.rounds)
        assert rows["seconds a round, train"][label] == f"{train:.3g}"
    assert "command" not in rows


def test_command_is_text_that_a_shell_reads_back(runs: list[RunView]) -> None:
    assert [command(run) for run in runs] == [
        None,
        COMMAND,
        "fedward run --set 'note=a b'",
    ]


def test_a_command_that_is_none_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", planned=2))
    stored = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(
        json.dumps({**stored, "provenance": {"command": 3}})
    )
    assert command(read_run(folder)) == "3"
