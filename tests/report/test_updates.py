from dataclasses import replace

import pytest

from fedward.report.runs import RunView
from fedward.report.updates import sizes


def test_every_recorded_size_is_a_mark(runs: list[RunView]) -> None:
    figure = sizes(runs[2])
    assert figure is not None
    for panel, name in enumerate(("norm", "factor", "distance")):
        marks = {
            (x, client): y
            for trace in figure.data[4 * panel : 4 * panel + 4]
            for x, y, client in zip(trace.x, trace.y, trace.customdata or (), strict=True)
        }
        recorded = {
            (verdict.round, str(verdict.client)): getattr(verdict, name)
            for verdict in runs[2].verdicts
            if getattr(verdict, name) is not None
        }
        assert marks == pytest.approx(recorded, rel=1e-5)


def test_marks_tell_attackers_by_shape_and_rejected_by_outline(runs: list[RunView]) -> None:
    figure = sizes(runs[2])
    assert figure is not None
    assert {trace.name: trace.marker.symbol for trace in figure.data[:4]} == {
        "honest, accepted": "circle",
        "honest, rejected": "circle-open",
        "attacker, rejected": "diamond-open",
        "attacker, admitted": "diamond",
    }


def test_bound_is_drawn_where_recorded(runs: list[RunView]) -> None:
    figure = sizes(runs[2])
    assert figure is not None
    bound = figure.data[-1]
    assert list(bound.x) == list(range(5, 30))
    assert set(bound.y) == {1.5}


def test_panels_with_nothing_recorded_are_left_out(runs: list[RunView]) -> None:
    undefended = sizes(runs[1])
    assert undefended is not None
    assert [axis.title.text for axis in undefended.select_yaxes()] == [
        "Update norm (L2)",
        "Clip factor",
    ]
    bare = [replace(v, norm=None, factor=None, distance=None) for v in runs[2].verdicts]
    assert sizes(replace(runs[2], verdicts=tuple(bare))) is None
