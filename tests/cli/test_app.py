"""The command as a user types it, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = (
    "run", "--dataset", "synthetic", "--nir", "iid", "--attack", "dba:epochs=1",
    "--set", "clients=12", "--set", "attackers.start=1", "--set", "training.lr=0.05",
)  # fmt: skip


def call(*words: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fedward", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "120"},
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of three rounds: nobody attacks, FedAvg, Fedward."""
    folder = tmp_path_factory.mktemp("runs")
    done = call(*SMALL, "--rounds", "3", "--defense", "fedavg,fedward", "--runs", folder)
    assert done.returncode == 0, done.stderr
    assert "After the last round, in %" in done.stdout
    assert f"Report: {folder.resolve() / 'report.html'}" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("fedavg, nobody attacks: round 1/3  MA ")
    assert lines[-1].startswith("fedward: round 3/3  MA ")
    assert "attackers in " in lines[-1]
    return folder


def test_the_table_has_a_row_a_run(runs: Path) -> None:
    again = call(*SMALL, "--rounds", "3", "--defense", "fedavg,fedward", "--runs", runs)
    assert again.returncode == 0
    assert again.stderr.count("finished before, not run again") == 3
    rows = [line for line in again.stdout.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == [
        "fedavg, nobody attacks", "fedavg", "fedward",
    ]  # fmt: skip
    fedavg = [cell.strip() for cell in rows[1].split("│")[1:-1]]
    assert fedavg[-2:] == ["-", "-"]


def test_json_is_all_that_is_printed(runs: Path) -> None:
    done = call(
        *SMALL, "--rounds", "3", "--defense", "fedavg,fedward", "--runs", runs, "--json"
    )
    printed = json.loads(done.stdout)
    assert [run["name"] for run in printed["runs"]] == [
        "fedavg, nobody attacks", "fedavg", "fedward",
    ]  # fmt: skip
    assert printed["runs"][2]["metrics"]["aer"] is not None
    assert not done.stderr


def test_report_and_show_read_the_runs(runs: Path, tmp_path: Path) -> None:
    assert "</html>" in (runs / "report.html").read_text()
    (folder,) = runs.glob("*-fedward-*")
    shown = call("show", folder)
    assert shown.returncode == 0
    assert "finished" in shown.stdout
    verdicts = json.loads(call("show", folder, "--round", "2", "--json").stdout)
    assert len(verdicts) == 10
    assert {verdict["accepted"] for verdict in verdicts} <= {True, False}
    assert "attacker" in call("show", folder, "--round", "2").stdout
    out = tmp_path / "again.html"
    assert call("report", runs, "--out", out).returncode == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--preset", "papermnist"), "Did you mean 'paper-mnist'"),
        (("run", "--defense", "fedwart"), "Did you mean 'fedward'"),
        (("run", "--defense", "fedward:epsilon=kth"), "Known: amgrad, clip"),
        (("run", "--set", "training.epoch=2"), "Did you mean 'epochs'"),
        (("run", "--set", "training.epochs=0"), "greater than or equal to 1, got 0"),
        (("run", "--nir", "often"), "percentage above 0, got 'often'"),
        (("run", "--pdr", "120", "--preset", "demo"), "less than 1, got 1.2"),
        (("run", "--resume", "--restart"), "exclude each other"),
        (("run", "--device", "nope"), "--device needs cpu or cuda, got 'nope'"),
        (("run", "--preset", "matrix", "--runs", "/dev/null"), "/dev/null"),
        (("show", "nowhere"), "nowhere is not a run folder"),
        (("list", "defences"), "Did you mean 'defenses'"),
    ],
)
def test_bad_input_is_said_in_a_line_with_code_2(
    words: tuple[str, ...], message: str
) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_list_names_everything() -> None:
    kinds = json.loads(call("list", "--json").stdout)
    assert {entry["name"] for entry in kinds["defenses"]} >= {"fedward", "fedavg", "flame"}
    assert {entry["name"] for entry in kinds["presets"]} >= {"demo", "paper-mnist"}
    assert "ICME 2023" in next(
        entry["source"] for entry in kinds["defenses"] if entry["name"] == "fedward"
    )


@pytest.mark.parametrize(
    ("kind", "preset"), [("defenses", "fedward-no-clip"), ("attacks", "mla")]
)
def test_a_kind_is_listed_with_its_presets(kind: str, preset: str) -> None:
    rows = json.loads(call("list", kind, "--json").stdout)
    names = {entry["name"] for entries in rows.values() for entry in entries}
    assert preset in names
    assert len(rows) == 2


def test_dry_run_prints_the_configurations(tmp_path: Path) -> None:
    words = ("run", "--preset", "paper-mnist", "--dry-run", "--eval-every", "5")
    done = call(*words, "--runs", tmp_path / "runs")
    configs = json.loads(done.stdout)
    assert [config["measuring"]["every"] for config in configs] == [5, 5]
    assert [config["label"] for config in configs] == ["fedavg, nobody attacks", "fedward"]
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = (*SMALL, "--rounds", "500", "--no-clean", "--runs", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-m", "fedward", *words],
        stderr=subprocess.PIPE,
        text=True,
        # A test runner's workers ignore the interrupt, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(tmp_path.glob("*/checkpoint.safetensors")):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with the same command and --resume." in stderr
    assert "Traceback" not in stderr
    refused = call(*words)
    assert refused.returncode == 3
    assert "go on with --resume, or begin anew with --restart" in refused.stderr


EARLY = """
import os, signal, sys

class Stop:
    def find_spec(self, name, *rest):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Stop())
sys.argv = ["fedward", "run", "--preset", "demo", "--runs", "/nowhere/at/all"]
from fedward.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "torch"])
def test_ctrl_c_while_loading_is_a_line(module: str) -> None:
    script = EARLY.format(module=module)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "fedward: stopped\n"
