import json
import os
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from fedward.cli.report import report
from tests.report.folders import Case, write_run

app = typer.Typer(rich_markup_mode=None)
app.command()(report)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_run(tmp_path / "runs" / name, Case(name=name, planned=2))
    return tmp_path / "runs"


def test_says_where_the_report_is(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "r.html"
    done = call(pair, "--out", out)
    assert (done.exit_code, done.stdout) == (0, f"Report of 2 runs: {out}\n")
    assert "</html>" in out.read_text()


def test_says_so_to_machines(pair: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    done = call(pair / "a", pair / "a", "--out", out, "--json")
    assert json.loads(done.stdout) == {"report": str(out), "runs": 1, "broken": []}


def test_lands_in_the_current_folder(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(pair / "b").stdout == "Report of 1 run: report.html\n"
    assert (tmp_path / "report.html").exists()


def test_opens_the_browser_when_asked(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    out = tmp_path / "r.html"
    call(pair, "--out", out)
    assert opened == []
    call(pair, "--out", out, "--open")
    assert opened == [out.as_uri()]


def test_what_is_no_run_is_the_users_to_mend(tmp_path: Path) -> None:
    done = call(tmp_path / "absent")
    assert isinstance(done.exception, ValueError)
    assert "absent does not exist" in str(done.exception)


def test_help_says_where_seeds_come_from() -> None:
    told = " ".join(call("--help").stdout.split())
    assert "Seeds of the grid, with commas [default: 0, or the file's]." in told


@pytest.mark.parametrize("words", [("--with", "flame"), ("--seeds", "7")])
def test_what_only_a_grid_can_have_is_refused(
    pair: Path, tmp_path: Path, words: tuple[str, str]
) -> None:
    done = call(pair, *words, "--out", tmp_path / "r.html")
    assert isinstance(done.exception, ValueError)
    assert "--with and --seeds need --grid" in str(done.exception)
    assert not (tmp_path / "r.html").exists()


def test_a_damaged_run_is_named_and_the_others_are_shown(
    pair: Path, tmp_path: Path
) -> None:
    broken = write_run(pair / "c", Case(name="c", planned=2)) / "rounds.jsonl"
    broken.write_bytes(b"\xff\n")
    out = tmp_path / "r.html"
    done = call(pair, "--out", out)
    assert (done.exit_code, done.stdout) == (1, f"Report of 2 runs: {out}\n")
    assert done.stderr.startswith(f"left out: {broken}, line 1: ")
    assert "</html>" in out.read_text()
    alone = call(broken.parent)
    assert isinstance(alone.exception, ValueError)
    assert str(broken) in str(alone.exception)


@pytest.mark.parametrize("file", ["rounds.jsonl", "verdicts.jsonl"])
def test_a_run_that_lost_whole_lines_is_left_out(
    pair: Path, tmp_path: Path, file: str
) -> None:
    short = write_run(pair / "c", Case(name="c", planned=4)) / file
    lines = short.read_bytes().splitlines(keepends=True)
    short.write_bytes(b"".join(lines[: len(lines) // 2]))
    out = tmp_path / "r.html"
    done = call(pair, "--out", out)
    assert (done.exit_code, done.stdout) == (1, f"Report of 2 runs: {out}\n")
    assert done.stderr.startswith(f"left out: {short} needs ")


def test_a_place_that_cannot_be_written_is_named(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "r.html"
    done = call(pair, "--out", out)
    assert isinstance(done.exception, ValueError)
    assert os.fspath(out.parent) in str(done.exception)
