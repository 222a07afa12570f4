import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fedward.simulation.checkpoint import CheckpointError, params_hash, read_checkpoint
from fedward.simulation.config import from_table
from fedward.simulation.folder import RunBroken, RunFolder, RunLocked, replace_file
from fedward.simulation.records import RoundRecord, State
from fedward.simulation.rounds import simulate
from tests.simulation.small import SMALL, small_federation

RESULT: dict[str, Any] = {
    "config": {},
    "metrics": {"aasr": None},
    "provenance": {},
    "rounds": 3,
    "seconds": 1.5,
}


@pytest.fixture(scope="module")
def steps() -> list[tuple[State, RoundRecord]]:
    return list(simulate(small_federation()))


@pytest.fixture
def folder(tmp_path: Path, steps: list[tuple[State, RoundRecord]]) -> RunFolder:
    """Three finished rounds."""
    made = RunFolder(tmp_path / "run")
    with made.locked():
        made.begin(SMALL)
        for state, record in steps[:3]:
            made.append(SMALL, state, record)
    return made


def test_what_is_written_is_read_back(
    folder: RunFolder, steps: list[tuple[State, RoundRecord]]
) -> None:
    resumed = folder.resume(SMALL)
    assert resumed is not None
    state, records = resumed
    assert state.next_round == 3
    assert torch.equal(state.params, steps[2][0].params)
    assert state.previous is not None
    assert torch.equal(state.previous, steps[1][0].params)
    assert records == [record for _, record in steps[:3]]


def test_the_configuration_is_in_the_folder(folder: RunFolder) -> None:
    table = json.loads(folder.config.read_text())
    assert table.pop("key") == SMALL.key
    assert from_table(table) == SMALL


def test_memory_survives(tmp_path: Path, steps: list[tuple[State, RoundRecord]]) -> None:
    state = replace(steps[0][0], memory={"alpha": torch.tensor([1.0, 2.0])})
    folder = RunFolder(tmp_path)
    folder.begin(SMALL)
    folder.append(SMALL, state, steps[0][1])
    resumed = folder.resume(SMALL)
    assert resumed is not None
    assert resumed[0].memory["alpha"].tolist() == [1.0, 2.0]


def test_lines_behind_the_checkpoint_are_cut(
    folder: RunFolder,
    steps: list[tuple[State, RoundRecord]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A crash after the lines and before the checkpoint's rename, and half a line more."""

    def crash(*paths: object) -> None:
        raise OSError("power is off")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="power is off"):
        folder.append(SMALL, *steps[3])
    monkeypatch.undo()
    with folder.verdicts.open("a") as file:
        file.write('{"round": 4, "cli')
    resumed = folder.resume(SMALL)
    assert resumed is not None
    assert resumed[0].next_round == 3
    assert resumed[1] == [record for _, record in steps[:3]]


def test_a_live_run_is_read_up_to_its_last_whole_round(
    folder: RunFolder, steps: list[tuple[State, RoundRecord]]
) -> None:
    """Somebody reads while the next round's lines are being written, in either file."""
    with folder.verdicts.open("a") as file:
        file.write(json.dumps(steps[3][1].clients[0].to_line()) + '\n{"round": 3, "cli')
    assert folder.records() == [record for _, record in steps[:3]]
    with folder.rounds.open("a") as file:
        file.write('{"round": 3, "att')
    assert folder.records() == [record for _, record in steps[:3]]


def test_lost_lines_are_noticed(folder: RunFolder) -> None:
    os.truncate(folder.rounds, 10)
    with pytest.raises(RunBroken, match=r"rounds\.jsonl needs the \d+ bytes.*got 10"):
        folder.resume(SMALL)


def test_another_configuration_is_refused(folder: RunFolder) -> None:
    other = replace(SMALL, seed=9)
    with pytest.raises(CheckpointError, match=f"key {SMALL.key}, not to {other.key}"):
        folder.resume(other)


def test_another_engine_is_refused(folder: RunFolder) -> None:
    """Engines agree up to rounding only, so a mixture would be neither's result."""
    with pytest.raises(CheckpointError, match="made by the engine '', got 'parallel'"):
        replace(folder, engine="parallel").resume(SMALL)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08" + b"\0" * 7 + b"{}      "])
def test_damaged_checkpoints_are_refused(folder: RunFolder, content: bytes) -> None:
    folder.checkpoint.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint of Fedward"):
        read_checkpoint(folder.checkpoint, SMALL.key, "")


def test_one_writer_at_a_time(folder: RunFolder) -> None:
    taken = pytest.raises(RunLocked, match=f"another process \\(pid {os.getpid()}\\)")
    with folder.locked(), taken, RunFolder(folder.path).locked():
        pass
    with folder.locked():
        pass


def test_finished_is_told_by_the_result(folder: RunFolder) -> None:
    assert folder.finished() is None
    told = folder.finish(RESULT)
    assert folder.finished() == told
    assert told["metrics"] == {"aasr": None}
    assert told["finished"].endswith("Z")
    folder.begin(SMALL)
    assert folder.finished() is None
    assert folder.resume(SMALL) is None


def without(part: str) -> bytes:
    return json.dumps({name: RESULT[name] for name in RESULT if name != part}).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(b'{"metrics": {', b"[]", b"{}", b"\xff\xfe{}", b"[" * 100_000),
        *map(without, ("config", "metrics", "provenance", "rounds", "seconds")),
        json.dumps({**RESULT, "metrics": {"aasr": "much"}}).encode(),
    ],
)
def test_damaged_figures_are_named(folder: RunFolder, content: bytes) -> None:
    folder.result.write_bytes(content)
    with pytest.raises(RunBroken, match=r"result\.json (is damaged|needs the figures)"):
        folder.finished()


def test_a_damaged_line_is_named(folder: RunFolder) -> None:
    lines = folder.rounds.read_text().split("\n")
    folder.rounds.write_text("\n".join([lines[0], "{half", *lines[2:]]))
    with pytest.raises(RunBroken, match=r"rounds\.jsonl, line 2, is damaged"):
        folder.records()


@pytest.mark.parametrize("line", ["3", '{"round": []}', '{"round": 1}', '{"other": 1}'])
@pytest.mark.parametrize("file", ["rounds.jsonl", "verdicts.jsonl"])
def test_lines_that_are_no_records_are_damage(
    folder: RunFolder, file: str, line: str
) -> None:
    with (folder.path / file).open("a") as lines:
        lines.write(line + "\n")
    with pytest.raises(RunBroken, match="damaged"):
        folder.records()


def test_a_round_needs_its_verdicts(folder: RunFolder) -> None:
    folder.verdicts.write_text("")
    with pytest.raises(RunBroken, match="need the verdicts of round 0, got none"):
        folder.records()


def test_nothing_but_the_files_named_is_left(folder: RunFolder) -> None:
    assert {path.name for path in folder.path.iterdir()} == {
        "config.json",
        "rounds.jsonl",
        "verdicts.jsonl",
        "checkpoint.safetensors",
        "lock",
    }


def test_hash_is_of_every_bit() -> None:
    params = torch.tensor([1.0, 0.0])
    assert params_hash(params) == params_hash(params.clone())
    assert params_hash(params) != params_hash(torch.tensor([1.0, -0.0]))


def test_a_file_that_cannot_be_replaced_is_left_with_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    replace_file(tmp_path / "result.json", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            replace_file(tmp_path / "result.json", b"new")
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"old"
