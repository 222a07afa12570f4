"""The command as a user types it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from fedward.__main__ import exit_code
from fedward.bench.grid import Cell
from fedward.bench.work import Outcome
from fedward.cli.app import app
from fedward.settings import in_words
from fedward.simulation.config import from_table
from fedward.simulation.runner import folder_of

MINE = """
title = "A tiny grid"
preset = "matrix"

[base]
dataset = "synthetic"
partition = { name = "iid" }
clients = 8
clients_per_round = 6
rounds = 4
training = { batch_size = 64, lr = 0.05 }
attackers = { count = 2, start = 2 }

[axes]
pdr = [15.625, 46.875]
defense = ["median", "fedward:eps=kth"]
"""


@dataclass(frozen=True)
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


def call(*words: str | Path, cwd: Path) -> Done:
    """The command, in this process."""
    out, err = StringIO(), StringIO()
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
        code = app(["bench", *map(str, words)], standalone_mode=False)
    return Done(code or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny grid has been run, with two workers."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.toml").write_text(MINE)
    words = ["bench", "mine.toml", "--jobs", "2", "--results", "results"]
    done = subprocess.run(
        [sys.executable, "-m", "fedward", *words],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert done.returncode == 0, done.stderr
    assert "6 of 6 cells, nothing left" in done.stdout
    assert "Results: results/mine" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 6
    assert "(6 of 6 cells" in lines[-1]
    return folder


def test_every_cell_is_a_run_folder_and_a_small_file(place: Path) -> None:
    printed = json.loads(call("mine.toml", "--dry-run", "--json", cwd=place).stdout)
    assert [cell["state"] for cell in printed["cells"]] == ["finished"] * 6
    for cell in printed["cells"]:
        config = from_table(cell["config"])
        assert config.key == cell["key"]
        assert folder_of(config, place / "runs").finished() is not None
    assert sorted(file.name for file in (place / "results" / "mine").iterdir()) == [
        "synthetic-niriid-pdr15.625-clean-seed0.json",
        "synthetic-niriid-pdr15.625-fedward-eps-kth-seed0.json",
        "synthetic-niriid-pdr15.625-median-seed0.json",
        "synthetic-niriid-pdr46.875-clean-seed0.json",
        "synthetic-niriid-pdr46.875-fedward-eps-kth-seed0.json",
        "synthetic-niriid-pdr46.875-median-seed0.json",
    ]


def test_a_finished_cell_is_never_run_again(place: Path) -> None:
    before = {f: f.stat().st_mtime_ns for f in (place / "runs").glob("*/*")}
    again = call("mine.toml", cwd=place)
    assert again.returncode == 0
    assert not again.stderr
    assert {f: f.stat().st_mtime_ns for f in (place / "runs").glob("*/*")} == before
    # Neither where only the small files are at hand.
    away = call("mine.toml", "--runs", "away", "--results", "results", cwd=place)
    assert away.returncode == 0
    assert not (place / "away").exists()


def test_results_are_collected_without_running(place: Path) -> None:
    done = call("mine.toml", "--collect", "--results", "again", "--only", "defense=median",
                "--seeds", "0,1", "--json", cwd=place)  # fmt: skip
    assert done.returncode == 0, done.stderr
    states = [cell["state"] for cell in json.loads(done.stdout)["cells"]]
    assert states == ["finished"] * 4 + ["not begun"] * 4
    assert len(list((place / "again" / "mine").iterdir())) == 4
    # A tracker that is asked later gets what was finished before.
    done = call("mine.toml", "--track", "tensorboard", cwd=place)
    assert done.returncode == 0, done.stderr
    assert len(list((place / "runs" / "tensorboard" / "mine").iterdir())) == 6


def test_results_of_another_configuration_are_left_alone(
    place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place / "results", tmp_path / "results")
    (tmp_path / "mine.toml").write_text(MINE.replace("rounds = 4", "rounds = 3"))
    before = {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.json")}
    done = call("mine.toml", "--only", "pdr=15.625,defense=median", "--jobs", "1",
                "--results", "results", "--json", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {file: file.read_bytes() for file in before} == before
    made = {
        file.name for file in (tmp_path / "results").rglob("*.json") if file not in before
    }
    keys = [cell["key"] for cell in json.loads(done.stdout)["cells"]]
    assert made == {
        f"synthetic-niriid-pdr15.625-clean-seed0-{keys[0]}.json",
        f"synthetic-niriid-pdr15.625-median-seed0-{keys[1]}.json",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [("result.json", '{"metrics": {'), ("result.json", "{}"), ("rounds.jsonl", "no\n")],
)
def test_a_damaged_cell_is_named_and_stops_no_other(
    place: Path, tmp_path: Path, name: str, text: str
) -> None:
    shutil.copytree(place / "runs", tmp_path / "runs")
    (tmp_path / "mine.toml").write_text(MINE)
    words = ("mine.toml", "--only", "pdr=15.625", "--jobs", "1", "--results", "results")
    listed = json.loads(call(*words, "--dry-run", "--json", cwd=place).stdout)["cells"]
    broken = folder_of(from_table(listed[1]["config"]), tmp_path / "runs").path / name
    broken.write_text(text)
    done = call(*words, "--json", cwd=tmp_path)
    assert done.returncode == 1
    states = [cell["state"] for cell in json.loads(done.stdout)["cells"]]
    assert states.count("finished") == 2
    assert str(broken.name) in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "results" / "mine").iterdir())) == 2
    assert broken.read_text() == text


def test_a_result_outlives_its_damaged_run_folder(place: Path, tmp_path: Path) -> None:
    for folder in ("runs", "results"):
        shutil.copytree(place / folder, tmp_path / folder)
    (tmp_path / "mine.toml").write_text(MINE)
    damaged = next((tmp_path / "runs").glob("*median*")) / "rounds.jsonl"
    damaged.write_text("no\n")
    done = call("mine.toml", "--results", "results", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finished"] == 6
    assert damaged.read_text() == "no\n"


def test_what_another_command_finished_meanwhile_has_not_failed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(MINE)

    def beside(cells: Sequence[Cell], *_: Any) -> Iterator[Outcome]:
        for cell in cells:
            yield Outcome(cell.key, error="RunLocked: is being written by another process")
        shutil.copytree(place / "runs", tmp_path / "runs", dirs_exist_ok=True)

    monkeypatch.setattr("fedward.cli.grid_run.execute", beside)
    words = ("mine.toml", "--jobs", "1", "--results", "results", "--json")
    done = call(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["finished"], told["failed"]) == (6, 0)
    assert len(list((tmp_path / "results" / "mine").iterdir())) == 6


def test_a_damaged_small_file_is_named_and_stops_nothing(
    place: Path, tmp_path: Path
) -> None:
    for folder in ("runs", "results"):
        shutil.copytree(place / folder, tmp_path / folder)
    (tmp_path / "mine.toml").write_text(MINE)
    name = "synthetic-niriid-pdr15.625-median-seed0"
    damaged = tmp_path / "results" / "mine" / f"{name}.json"
    damaged.write_text('{"config": {')
    for _ in range(2):
        done = call("mine.toml", "--results", "results", "--json", cwd=tmp_path)
        assert done.returncode == 0
        assert done.stderr.startswith(f"left alone: results/mine/{name}.json does not hold")
        assert len(done.stderr.splitlines()) == 1
        told = json.loads(done.stdout)
        assert told["broken"] == [done.stderr.strip().removeprefix("left alone: ")]
        assert [cell["state"] for cell in told["cells"]] == ["finished"] * 6
        key = next(c["key"] for c in told["cells"] if c["folder"].count("median"))
        beside = damaged.with_name(f"{name}-{key}.json")
        assert json.loads(beside.read_text())["key"] == key
        assert damaged.read_text() == '{"config": {'
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)


def test_a_failed_cell_is_reported_and_stops_no_other(place: Path) -> None:
    words = ("mine.toml", "--seeds", "1", "--only", "pdr=15.625", "--jobs", "1")
    listed = json.loads(call(*words, "--dry-run", "--json", cwd=place).stdout)["cells"]
    assert [cell["state"] for cell in listed] == ["not begun"] * 3
    with folder_of(from_table(listed[1]["config"]), place / "runs").locked():
        done = call(*words, "--json", cwd=place)
    assert done.returncode == 1
    cells: list[dict[str, Any]] = json.loads(done.stdout)["cells"]
    assert [cell["state"] for cell in cells] == ["finished", "failed", "finished"]
    assert f"is being written by another process (pid {os.getpid()})" in cells[1]["error"]
    told = call(*words, cwd=place)
    assert told.returncode == 0
    assert "3 of 3 cells" in told.stdout


def test_a_dry_run_says_what_is_known(place: Path) -> None:
    learnt = call("mine.toml", "--seeds", "7", "--dry-run", cwd=place)
    assert "A tiny grid: 0 of 6 cells finished, about" in learnt.stdout
    nothing = call("table1", "--dry-run", "--shard", "1/84", "--runs", "none", cwd=place)
    assert "nothing known yet about the time of" in nothing.stdout
    assert not (place / "none").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mine.toml", "--collect"), "--collect needs --results"),
        (("tabel1",), "Did you mean 'table1'"),
        (("table1", "--with", "crfk"), "Did you mean 'crfl'"),
        (("table1", "--only", "nir=26"), "unknown value of the axis nir: '26'"),
        (("table1", "--shard", "9/8"), "--shard needs the form 2/8"),
        (("table1", "--seeds", "x"), "--seeds needs whole numbers from 0"),
        (("table1", "--engine", "paralel", "--dry-run"), "Did you mean 'parallel'"),
        (
            ("table1", "--stack", "7", "--dry-run"),
            "--stack needs --engine stacked, got parallel",
        ),
        (("table1", "--set", "rounds", "--dry-run"), "needs the form path=value"),
        (("absent.toml",), "cannot read absent.toml"),
        (("mine.toml", "--seeds", "9", "--backend", "rey"), "Did you mean 'ray'"),
        (("mine.toml", "--seeds", "9", "--cluster", "x"), "needs the backend ray or dask"),
        (("table1", "--dry-run", "--track", "mlflo"), "Did you mean 'mlflow'"),
        (("mine.toml", "--base", "demo"), "not for a grid of a file"),
    ],
)
def test_bad_input_is_an_error_that_main_puts_in_a_line(
    words: tuple[str, ...], said: str, place: Path
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, said is compared
        call(*words, cwd=place)
    assert exit_code(caught.value) == 2
    assert said in in_words(caught.value)


@pytest.mark.parametrize(
    "how", ["--jobs 1", "--jobs 2", "--jobs 1 --engine stacked --stack 2"]
)
def test_ctrl_c_is_safe_and_says_how_to_go_on(how: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE.replace("rounds = 4", "rounds = 400"))
    words = [sys.executable, "-m", "fedward", "bench", "mine.toml", *how.split()]
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A terminal interrupts the whole group; a test runner's workers ignore it.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if any((tmp_path / "runs").glob("*/checkpoint.safetensors")):
            break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Go on with the same command." in stderr
    assert "Traceback" not in stderr
