import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fedward.engine import Reference
from fedward.simulation.config import RunConfig
from fedward.simulation.folder import RunLocked
from fedward.simulation.records import RoundRecord
from fedward.simulation.runner import RunUnfinished, Start, folder_of, run
from tests.simulation.small import SMALL, spots


class PowerCut(Exception):
    pass


def start(
    config: RunConfig, runs: Path, cut: int | None = None, how: Start | None = None
) -> tuple[dict[str, object], list[RoundRecord]]:
    """Run, with the power cut after so many rounds."""
    seen: list[RoundRecord] = []

    def watch(record: RoundRecord) -> None:
        seen.append(record)
        if len(seen) == cut:
            raise PowerCut

    return run(config, spots(), Reference(), runs, how or Start(), watch), seen


def test_interrupted_and_resumed_equals_undisturbed(tmp_path: Path) -> None:
    whole, _ = start(SMALL, tmp_path / "whole")
    with pytest.raises(PowerCut):
        start(SMALL, tmp_path / "cut", cut=3)
    with pytest.raises(RunUnfinished, match="holds 3 of 6 rounds"):
        start(SMALL, tmp_path / "cut")
    resumed, seen = start(SMALL, tmp_path / "cut", how=Start(resume=True))
    assert [record.round for record in seen] == list(range(6))
    assert resumed["params_sha256"] == whole["params_sha256"]
    assert resumed["metrics"] == whole["metrics"]


def test_a_finished_run_is_read_not_run(tmp_path: Path) -> None:
    first, _ = start(SMALL, tmp_path)
    again, seen = start(SMALL, tmp_path)
    assert again == first
    assert not seen


def test_begun_anew_on_request(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        start(SMALL, tmp_path, cut=2)
    _, seen = start(SMALL, tmp_path, how=Start(anew=True))
    assert len(seen) == 6
    assert len(folder_of(SMALL, tmp_path).records()) == 6


def test_rounds_without_a_checkpoint_are_not_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        start(SMALL, tmp_path, cut=3)
    folder = folder_of(SMALL, tmp_path)
    folder.checkpoint.unlink()
    for how in (Start(), Start(resume=True)):
        with pytest.raises(RunUnfinished, match="no checkpoint to go on from"):
            start(SMALL, tmp_path, how=how)
    assert len(folder.records()) == 3
    assert len(start(SMALL, tmp_path, how=Start(anew=True))[1]) == 6


def test_lines_before_the_first_checkpoint_are_no_rounds(tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        start(SMALL, tmp_path, cut=1)
    folder_of(SMALL, tmp_path).checkpoint.unlink()
    assert len(start(SMALL, tmp_path)[1]) == 6


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    with folder_of(SMALL, tmp_path).locked(), pytest.raises(RunLocked):
        start(SMALL, tmp_path)


def test_the_result_carries_its_provenance(tmp_path: Path) -> None:
    result, _ = start(replace(SMALL, rounds=1), tmp_path)
    found = result["provenance"]
    assert isinstance(found, dict)
    assert set(found) == {
        "fedward",
        "torch",
        "python",
        "device",
        "threads",
        "engine",
        "commit",
        "command",
    }
    assert found["engine"] == "reference"


COMMAND = (
    sys.executable, "-m", "fedward", "run", "--dataset", "synthetic", "--nir", "iid",
    "--attack", "dba:epochs=1", "--rounds", "20", "--no-clean", "--engine", "reference",
    "--set", "clients=12", "--set", "attackers.start=2", "--resume", "--quiet",
)  # fmt: skip


def spawn(runs: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "--runs", str(runs)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def outcome(runs: Path) -> str:
    """Everything but times and dates: the model's hash, the figures, every line."""
    (folder,) = [path for path in runs.iterdir() if path.is_dir()]
    result = json.loads((folder / "result.json").read_text())
    lines = (folder / "rounds.jsonl").read_text().splitlines()
    rounds = [json.loads(line) for line in lines]
    for line in rounds:
        del line["seconds"]
    verdicts = (folder / "verdicts.jsonl").read_text()
    return json.dumps([result["params_sha256"], result["metrics"], rounds, verdicts])


def test_killed_ten_times_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL; the last start is left alone and must end as if nothing had happened."""
    assert spawn(tmp_path / "whole").wait(timeout=300) == 0
    dice = random.Random(0)
    runs, kills = tmp_path / "killed", 0
    while kills < 10:
        process = spawn(runs)
        goal = rounds_done(runs) + 1
        while process.poll() is None and rounds_done(runs) < goal:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        if process.wait(timeout=60) != -signal.SIGKILL:
            break  # it finished first: there is nothing left to kill
        kills += 1
    assert kills >= 5
    assert spawn(runs).wait(timeout=300) == 0
    assert outcome(runs) == outcome(tmp_path / "whole")


def rounds_done(runs: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in runs.glob("*/rounds.jsonl"))
