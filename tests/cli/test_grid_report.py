"""``fedward report`` on what is not just run folders."""

import csv
import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import Result

from fedward.bench.results import write_result
from tests.cli.test_report import call
from tests.report.folders import Case, write_run
from tests.report.grids import paper_grid, result, results, write_folder

TOML = """
title = "Mine"
[axes]
dataset = ["mnist"]
nir = ["25"]
pdr = ["46.875"]
defense = ["median", "fedward"]
"""


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Small result files of two of three cells."""
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["median", "fedward"])
    found = results(grid.cells, {"median": {"aasr": 0.1072}, "fedward": {"aasr": 0.02}})
    for number, each in enumerate(found.values()):
        write_result(tmp_path / "results" / "part" / f"{number}.json", each)
    (tmp_path / "mine.toml").write_text(TOML)
    return tmp_path


def said(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def test_result_files_become_the_page_of_what_was_found(stored: Path) -> None:
    out = stored / "page.html"
    assert said(call(stored / "results", "--out", out)) == f"2 of 2 cells: {out}\n"
    assert "2 of 2 cells are finished." in out.read_text()


def test_a_grid_says_what_is_missing(stored: Path) -> None:
    out = stored / "page.html"
    done = call(stored / "results", "--grid", stored / "mine.toml", "--out", out, "--json")
    assert json.loads(said(done)) == {
        "report": str(out), "cells": 3, "finished": 2, "files": [str(out)], "broken": [],
        "strangers": [],
    }  # fmt: skip
    assert "2 of 3 cells are finished." in out.read_text()
    more = call(
        *(stored / "results", "--grid", stored / "mine.toml", "--with", "flame,krum"),
        *("--seeds", "0,1", "--out", out),
    )
    assert said(more).startswith("2 of 10 cells: ")


def test_results_that_are_no_cells_of_the_grid_are_counted_and_named(stored: Path) -> None:
    others = paper_grid(nirs=["50"], pdrs=["31.25"], methods=["fedward"], seeds=range(6))
    for cell in others.cells:
        write_result(stored / "results" / f"{cell.key}.json", result(cell.config))
    out = stored / "page.html"
    words = (stored / "results", "--grid", stored / "mine.toml", "--out", out)
    done = call(*words)
    assert said(done) == f"2 of 3 cells: {out}\n"
    head, *names = done.stderr.splitlines()
    assert head == "left out: 12 of 14 results, which are no cells of mine:"
    assert names[-1] == "  and 2 more, which --json names"
    assert len(names) == 11
    for name in names[:-1]:
        assert (", nobody attacks (" in name) == (" fedavg " in name)
    page = out.read_text()
    assert "Results that are no cells of mine: 12" in page
    assert all(f"({cell.key})" in page for cell in others.cells)
    assert len(json.loads(call(*words, "--json").stdout)["strangers"]) == 12
    # Of what was found all is shown.
    assert call(stored / "results", "--out", out).stderr == ""


def test_exports_are_written_in_place_of_the_page(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stored)
    done = call(
        *("results", "--csv", "new/t.csv", "--parquet", "t.parquet"),
        *("--latex", "t.tex", "--markdown", "t.md"),
    )
    assert said(done) == f"2 of 2 cells: {Path('new/t.csv')}, t.parquet, t.tex, t.md\n"
    assert not (stored / "report.html").exists()
    rows = list(csv.DictReader((stored / "new" / "t.csv").read_text().splitlines()))
    assert {row["defense"]: float(row["aasr"]) for row in rows} == {
        "median": 0.1072,
        "fedward": 0.02,
    }
    assert (stored / "t.parquet").read_bytes()[:4] == b"PAR1"
    assert r"\begin{tabular}" in (stored / "t.tex").read_text()


def test_a_table_on_the_terminal_stands_alone(stored: Path) -> None:
    done = call(stored / "results", "--markdown", "-", "--csv", stored / "t.csv")
    assert said(done).startswith("**MNIST, attack dba**")
    assert "cells:" not in said(done)
    assert (stored / "t.csv").exists()


def test_run_folders_deeper_down_are_a_grid_with_curves(tmp_path: Path) -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["fedward"])
    found = results(grid.cells, {"fedward": {}, "clean": {}})
    for cell in grid.cells:
        write_folder(tmp_path / "runs" / "group" / cell.key, cell, found[cell.key])
    out = tmp_path / "page.html"
    assert said(call(tmp_path / "runs", "--out", out)).startswith("2 of 2 cells: ")
    assert 'id="curves-0-figure"' in out.read_text()
    # Directly inside, they are compared as runs, unless a grid is asked for.
    assert said(call(tmp_path / "runs" / "group", "--out", out)).startswith(
        "Report of 2 runs"
    )
    asked = call(tmp_path / "runs" / "group", "--grid", "found", "--out", out)
    assert said(asked).startswith("2 of 2 cells: ")


def test_what_holds_nothing_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call(tmp_path / "empty")
    assert isinstance(done.exception, ValueError)
    assert "neither a run folder nor a finished result" in str(done.exception)
    (tmp_path / "odd.json").write_text("{}")
    done = call(tmp_path / "odd.json")
    assert isinstance(done.exception, ValueError)
    assert "odd.json does not hold a result" in str(done.exception)


def test_tables_of_unfinished_runs_say_that_they_are(tmp_path: Path) -> None:
    folders = [tmp_path / "runs" / name for name in ("a", "b")]
    for folder in folders:
        write_run(folder, Case(name="x", done=2))
    for words in (("--markdown", "-"), ("--grid", "found")):
        done = call(tmp_path / "runs", *words)
        assert isinstance(done.exception, ValueError)
        assert str(done.exception) == (
            f"the tables need a finished run, got unfinished ones: {folders[0]}, "
            f"{folders[1]}"
        )


def test_options_that_do_not_fit_are_refused(stored: Path) -> None:
    for words in (("--with", "flame"), ("--seeds", "1")):
        done = call(stored / "results", *words)
        assert isinstance(done.exception, ValueError)
        assert "--with and --seeds need --grid" in str(done.exception)
    done = call(stored / "results", "--grid", "tabel1")
    assert "Did you mean 'table1'?" in str(done.exception)


def test_a_place_that_cannot_be_written_is_named(stored: Path) -> None:
    (stored / "file").touch()
    done = call(stored / "results", "--csv", stored / "file" / "t.csv")
    assert isinstance(done.exception, ValueError)
    assert str(stored / "file") in str(done.exception)


def test_a_table_that_cannot_be_written_leaves_the_old_one(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stored / "t.csv"
    out.write_text("the old table")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    done = call(stored / "results", "--csv", out)
    assert isinstance(done.exception, ValueError)
    assert "No space left" in str(done.exception)
    assert out.read_text() == "the old table"


def test_a_table_goes_where_a_link_leads_or_into_a_pipe(stored: Path) -> None:
    (stored / "link.md").symlink_to(stored / "t.md")
    said(call(stored / "results", "--markdown", stored / "link.md"))
    os.mkfifo(stored / "pipe")
    pipe = os.open(stored / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    said(call(stored / "results", "--markdown", stored / "pipe"))
    assert os.read(pipe, 1 << 16) == (stored / "t.md").read_bytes()
    os.close(pipe)


def test_runs_that_are_no_cells_do_not_stop_a_grid(stored: Path) -> None:
    write_run(stored / "results" / "part" / "live", Case(name="live", done=2))
    out = stored / "page.html"
    assert said(call(stored / "results", "--out", out)) == f"2 of 2 cells: {out}\n"


def test_a_damaged_file_is_named_and_the_rest_is_shown(stored: Path) -> None:
    odd = stored / "results" / "odd.json"
    odd.write_bytes(b"\xff{")
    cell = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["flame"]).cells[-1]
    folder = write_folder(stored / "results" / "part" / "run", cell, result(cell.config))
    (folder / "result.json").write_text('{"metrics": {}}')
    out = stored / "page.html"
    done = call(stored / "results", "--out", out)
    assert done.exit_code == 1
    assert done.stdout == f"2 of 2 cells: {out}\n"
    first, second = sorted(done.stderr.splitlines())
    assert first.startswith(f"left out: {odd} does not hold a result: ")
    assert second.startswith(f"left out: {folder / 'result.json'} does not hold a result: ")
    assert str(odd) in out.read_text()
    told = json.loads(call(stored / "results", "--out", out, "--json").stdout)
    assert len(told["broken"]) == 2
    alone = call(odd)
    assert isinstance(alone.exception, ValueError)
    assert "odd.json does not hold a result" in str(alone.exception)
