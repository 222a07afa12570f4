from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fedward.report.figures import curves, rates, spans, windows
from fedward.report.runs import RunView, read_run
from tests.report.folders import Case, write_run


@given(st.sets(st.integers(0, 60)))
def test_spans_cover_exactly_the_numbers_and_never_touch(numbers: set[int]) -> None:
    found = spans(sorted(numbers))
    assert [n for a, b in found for n in range(a, b + 1)] == sorted(numbers)
    assert all(right[0] > left[1] + 1 for left, right in pairwise(found))


def test_curves_show_every_measurement(runs: list[RunView], labels: list[str]) -> None:
    figure = curves(runs, labels)
    for run, label in zip(runs, labels, strict=True):
        ma, asr = (trace for trace in figure.data if trace.legendgroup == label)
        assert list(ma.x) == list(asr.x) == [record.round for record in run.rounds]
        assert ma.y == pytest.approx(
            [100 * (record.ma or 0) for record in run.rounds], rel=1e-5
        )
        assert asr.y == pytest.approx([100 * r.asr["whole"] for r in run.rounds], rel=1e-5)
        assert (ma.yaxis, asr.yaxis) == ("y", "y2")
        assert (ma.showlegend, asr.showlegend) == (None, False)


def test_parts_of_the_trigger_wait_in_the_legend(
    runs: list[RunView], labels: list[str]
) -> None:
    figure = curves(runs, labels)
    parts = [t for t in figure.data if t.legendgroup == "fedward: parts of the trigger"]
    assert [trace.visible for trace in parts] == ["legendonly"] * 4
    assert [trace.showlegend for trace in parts] == [True, False, False, False]
    assert list(parts[1].x) == [9, 19, 29]
    expected = [100 * r.asr["part 1"] for r in runs[2].rounds if "part 1" in r.asr]
    assert parts[1].y == pytest.approx(expected, rel=1e-5)


def test_attack_window_is_shaded_once_where_all_agree(
    runs: list[RunView], labels: list[str]
) -> None:
    figure = curves(runs, labels)
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(4.5, 29.5)] * 2
    assert [note.text for note in figure.layout.annotations] == ["under attack"]


def test_windows_differ_unless_the_shorter_run_agrees(tmp_path: Path) -> None:
    names = ("long", "short", "later", "quiet")
    cases = (
        Case(name="long", planned=20),
        Case(name="short", planned=20, done=9),
        Case(name="later", planned=20, start=8),
        Case(name="quiet", planned=20, quiet=True),
    )
    runs = [read_run(write_run(tmp_path / case.name, case)) for case in cases]
    assert windows(runs, names) == [
        (tuple(range(5, 20)), ["long", "short"]),
        (tuple(range(8, 20)), ["later"]),
    ]
    figure = curves(runs, names)
    assert [note.text for note in figure.layout.annotations] == [
        "under attack: long, short",
        "under attack: later",
    ]


def test_unmeasured_rounds_leave_no_point(runs: list[RunView]) -> None:
    run = runs[1]
    odd = [replace(r, ma=None, asr={}) if r.round % 2 else r for r in run.rounds]
    ma, asr, *_ = curves([replace(run, rounds=tuple(odd))], ["x"]).data
    assert list(ma.x) == list(asr.x) == list(range(0, 30, 2))


def test_runs_of_no_round_draw_nothing(runs: list[RunView]) -> None:
    empty = replace(runs[2], rounds=(), verdicts=(), result=None)
    assert [len(trace.x) for trace in curves([empty], ["x"]).data] == [0]


def test_names_are_literal(runs: list[RunView]) -> None:
    names = {trace.name for trace in curves([runs[2]], ["<b>&"]).data}
    assert names == {"&lt;b&gt;&amp;", "&lt;b&gt;&amp;: parts of the trigger"}


def test_rates_end_at_the_stored_metrics(runs: list[RunView], labels: list[str]) -> None:
    figure = rates(runs, labels)
    assert figure is not None
    dots, escaped, _, turned = figure.data
    run = runs[2]
    assert run.result is not None
    assert escaped.y[-1] == pytest.approx(100 * run.result.metrics["aer"], rel=1e-5)  # type: ignore[operator]
    defended = [record for record in run.rounds if record.defended]
    rejected = sum(record.rejected_benign or 0 for record in defended)
    assert turned.y[-1] == pytest.approx(100 * rejected / (6 * len(defended)), rel=1e-5)
    assert dots.y == pytest.approx([25 * (r.admitted_attackers or 0) for r in defended])
    assert {trace.name for trace in figure.data} == {"fedward"}


def test_rates_need_a_defense_that_selects(runs: list[RunView]) -> None:
    assert rates(runs[:2], ["a", "b"]) is None


def test_single_rounds_are_left_out_where_many_runs_would_hide_them(
    runs: list[RunView],
) -> None:
    figure = rates([runs[2]] * 4, list("abcd"))
    assert figure is not None
    shown = [trace.mode for trace in figure.data if trace.visible is not False]
    assert shown == ["lines"] * 8
