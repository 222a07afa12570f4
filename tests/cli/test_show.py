"""``fedward show`` on folders that are not as they should be."""

from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from fedward.cli.show import show
from tests.report.folders import Case, write_run

app = typer.Typer()
app.command()(show)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_whole_folder_is_shown(tmp_path: Path) -> None:
    done = call(write_run(tmp_path / "run", Case(name="fedward", planned=4, done=2)))
    assert done.exit_code == 0, done.output
    assert "unfinished: 2 of 4 rounds" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b"[]"),
        ("config.json", b"\xff"),
        ("result.json", b"{}"),
        ("result.json", b"3"),
        ("rounds.jsonl", b"\xff\n"),
        ("rounds.jsonl", b""),
        ("rounds.jsonl", b"3\n"),
        ("rounds.jsonl", b'{"round": 0}\n'),
        ("verdicts.jsonl", b""),
        ("verdicts.jsonl", b'{"round": 0, "client": 1}\n'),
    ],
)
def test_damage_is_said_in_a_line_that_names_the_file(
    file: str, content: bytes, tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "run", Case(name="fedward", planned=2))
    (folder / file).write_bytes(content)
    for words in ((), ("--json",), ("--round", "0")):
        done = call(folder, *words)
        assert isinstance(done.exception, ValueError)
        assert str(folder) in str(done.exception)
        assert "\n" not in str(done.exception)


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", Case(name="fedward", planned=2))
    for file in ("rounds.jsonl", "config.json"):
        (folder / file).unlink()
        (folder / file).symlink_to(tmp_path / "gone")
        done = call(folder)
        assert isinstance(done.exception, ValueError)
        assert file in str(done.exception)


def test_a_run_without_rounds_has_none_to_show(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", Case(name="new", planned=2, done=0))
    done = call(folder, "--round", "0")
    assert "has no finished round, got 0" in str(done.exception)
