import math
from dataclasses import replace

import pytest

from fedward.report.reachability import heading, reachability
from fedward.report.runs import RunView, VerdictView


def test_every_walk_is_a_frame_in_its_order(runs: list[RunView]) -> None:
    run = runs[2]
    figure = reachability(run)
    assert figure is not None
    assert [frame.name for frame in figure.frames] == [str(n) for n in range(5, 30)]
    for frame in figure.frames:
        walk = sorted(run.by_round[int(frame.name)], key=lambda v: v.position or 0)
        names = [text.strip("</b>") for text in frame.layout.xaxis.ticktext]
        assert names == [str(verdict.client) for verdict in walk]
        bars = {x: y for bar in frame.data[:4] for x, y in zip(bar.x, bar.y, strict=True)}
        assert sorted(bars) == list(range(10))
        defined = [verdict.reachability for verdict in walk[1:]]
        assert [bars[i] for i in range(1, 10)] == pytest.approx(defined, rel=1e-5)
        assert bars[0] == frame.layout.yaxis.range[1]
        assert list(frame.data[5].y) == [25.5, 25.5]


def test_colour_tells_attackers_and_hatching_the_rejected(runs: list[RunView]) -> None:
    figure = reachability(runs[2])
    assert figure is not None
    frame = next(frame for frame in figure.frames if frame.name == "7")
    for verdict in runs[2].by_round[7]:
        place = (False, True), (False, False), (True, False), (True, True)
        bar = frame.data[place.index((verdict.malicious, verdict.accepted))]
        assert verdict.position in bar.x
    honest, turned, caught, let_in = figure.data[:4]
    assert honest.marker.color == turned.marker.color != caught.marker.color
    assert caught.marker.color == let_in.marker.color
    assert [bar.marker.pattern.shape for bar in figure.data[:4]] == ["", "/", "/", ""]


def test_start_of_a_walk_is_pale(runs: list[RunView]) -> None:
    figure = reachability(runs[2])
    assert figure is not None
    pale = {
        (frame.name, x)
        for frame in figure.frames
        for bar in frame.data[:4]
        for x, opacity in zip(bar.x, bar.marker.opacity, strict=True)
        if opacity < 1
    }
    assert pale == {(str(number), 0) for number in range(5, 30)}


def test_shows_the_last_attacked_round_whole(runs: list[RunView]) -> None:
    run = replace(
        runs[2], rounds=tuple(replace(r, attacked=r.round < 20) for r in runs[2].rounds)
    )
    figure = reachability(run)
    assert figure is not None
    assert figure.layout.meta == heading(run.rounds[19], run.by_round[19])
    shown = next(frame for frame in figure.frames if frame.name == "19")
    assert [bar.x for bar in figure.data] == [bar.x for bar in shown.data]
    assert figure.data[0].name == "honest, accepted"
    assert figure.data[0].marker.color


def test_methods_that_do_not_walk_have_none(runs: list[RunView]) -> None:
    assert reachability(runs[1]) is None


def test_infinite_and_absent_numbers_are_not_drawn(runs: list[RunView]) -> None:
    walk = (
        VerdictView(
            round=0,
            client=4,
            malicious=False,
            accepted=True,
            reason="a",
            reachability=math.inf,
            position=0,
        ),
        VerdictView(
            round=0,
            client=5,
            malicious=False,
            accepted=True,
            reason="b",
            core_distance=2.0,
            reachability=3.0,
            position=1,
        ),
    )
    record = replace(runs[1].rounds[0], facts={})
    figure = reachability(replace(runs[1], rounds=(record,), verdicts=walk))
    assert figure is not None
    assert list(figure.data[0].y) == pytest.approx([1.12 * 3, 3])
    assert list(figure.data[4].y) == [None, 2]
    assert list(figure.data[5].y) == [None, None]


def test_heading_says_who_got_in(runs: list[RunView]) -> None:
    record = replace(
        runs[2].rounds[7], admitted_attackers=1, rejected_benign=2, held="no <group>"
    )
    assert heading(record, runs[2].by_round[7]) == (
        "Round 7 · eps 25.5 · 1 of 4 attackers admitted · 2 of 6 honest clients rejected"
        " · held: no <group>"
    )
