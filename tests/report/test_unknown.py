"""Runs of which nobody knows who attacked: what a deployment leaves, and drills."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedward.report.figures import curves, rates
from fedward.report.html import render
from fedward.report.palette import DASH
from fedward.report.reachability import reachability
from fedward.report.runs import RunView, read_run
from fedward.report.summary import about, cards, headline
from fedward.report.tables import find_clean, metrics_table, settings_table
from fedward.report.updates import sizes
from fedward.report.verdicts import UNKNOWN_OUTCOMES, verdict_map
from tests.flower.conftest import HAS_FLOWER
from tests.needs import missing
from tests.report.folders import Case, read_lines, write_lines, write_run
from tests.report.test_html import Page

ROUNDS = 3
TOP = (1 << 64) - 3
"""A node of `tests.flower.rounds.HONEST` that a browser's numbers cannot hold."""
AWAY = 5
UNKNOWN = ("attacked", "attackers", "admitted_attackers", "rejected_benign")


def forget(folder: Path, before: int) -> Path:
    """Make unknown what a deployment does not know, in the rounds before that one."""
    names = {"rounds": UNKNOWN, "verdicts": ("malicious",)}
    for file, fields in names.items():
        path = folder / f"{file}.jsonl"
        unknown = dict.fromkeys(fields)
        lines = [
            {**line, **unknown} if line["round"] < before else line
            for line in read_lines(path)
        ]
        write_lines(path, lines)
    return folder


def deploy(folder: Path, attackers: frozenset[int] | None) -> RunView:
    """Rounds of the plug-in itself; one of its six nodes goes another way."""
    from flwr.app import ArrayRecord, MetricRecord
    from flwr.serverapp.strategy import FedAvg

    from fedward.flower import Defended
    from tests.flower.grid import Nodes, draw, moving, record
    from tests.flower.rounds import HONEST, SHAPES, START

    def measure(number: int, arrays: ArrayRecord) -> MetricRecord:
        return MetricRecord({"accuracy": 0.5 + number / 100, "asr whole": 0.25})

    away = moving({name: -values for name, values in draw(0, SHAPES).items()})
    strategy = Defended(FedAvg(fraction_evaluate=0.0), folder=folder, attackers=attackers)
    nodes = Nodes({**HONEST, AWAY: away})
    strategy.start(nodes, record(START), ROUNDS, evaluate_fn=measure)
    return read_run(folder)


@pytest.fixture(scope="module", params=["plug-in", "by formula"])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RunView:
    """A whole run of which nothing is known."""
    folder = tmp_path_factory.mktemp("deployments") / "ward-7"
    if request.param == "plug-in":
        if not HAS_FLOWER:
            missing("the extra 'flower'")
        return deploy(folder, None)
    forget(write_run(folder, Case(name="ward-7", attack=None, planned=9)), 9)
    result = json.loads((folder / "result.json").read_text())
    result["metrics"] = {"ma_final": 0.5, "held": 0.0}
    (folder / "result.json").write_text(json.dumps(result))
    return read_run(folder)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """A deployment that became a drill with round 7."""
    folder = tmp_path_factory.mktemp("halves") / "half"
    return read_run(forget(write_run(folder, Case(name="half", planned=12)), 7))


def test_nothing_is_known_and_nobody_is_called_clean(run: RunView) -> None:
    assert (run.blind, run.clean, run.selects) == (True, False, True)
    assert {v.malicious for v in run.verdicts} == {None}
    assert run.attacked_rounds == ()


def test_page_calls_nobody_honest_and_shows_every_verdict(run: RunView) -> None:
    text = render([run])
    page = Page(text)
    assert (page.wrong, page.open) == ([], [])
    words = " ".join([*page.text, *page.figures.values()]).lower()
    assert "honest" not in words
    assert "under attack" not in words
    assert "no attack" not in words
    figure = json.loads(page.figures["verdicts-0-figure"])
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [bar["name"] for bar in bars] == ["client, accepted", "client, rejected"]
    seen = {
        (x, told[0], told[1]): bar["name"]
        for bar in bars
        for x, told in zip(bar["x"], bar["customdata"], strict=True)
    }
    assert seen == {
        (v.round, str(v.client), v.reason): (
            "client, accepted" if v.accepted else "client, rejected"
        )
        for v in run.verdicts
    }
    assert set(seen.values()) == {"client, accepted", "client, rejected"}
    assert "aer-brr-figure" not in page.figures


def test_words_and_numbers_on_a_deployment(run: RunView) -> None:
    accepted = sum(verdict.accepted for verdict in run.verdicts)
    counted = f"{accepted} of {len(run.verdicts)}"
    assert about([run]).endswith("attack unknown")
    assert headline([run], ["x"])[1] == (
        f"x accepted {counted} updates; nobody knows which were malicious."
    )
    (card,) = cards([run], ["x"])
    numbers = {name: cell.text for name, cell in card.numbers}
    assert card.about == "fedward against unknown attackers"
    assert (numbers["AER"], numbers["BRR"]) == (DASH, DASH)
    assert numbers["Updates accepted"] == counted
    assert (
        f"{counted} updates were accepted and {len(run.verdicts) - accepted} rejected; "
        "nobody knows which were malicious."
    ) in " ".join(Page(render([run])).text)


def attack_setting(*runs: RunView) -> list[str]:
    """What the settings say of the attack, a cell a run."""
    labels = [f"run {place}" for place, _ in enumerate(runs)]
    rows = settings_table(runs, labels).rows
    (row,) = [r for r in rows if r.heading.text in ("attack", "attack.name")]
    return [cell.text for cell in row.cells]


def test_settings_do_not_say_that_nobody_attacks_where_nobody_knows(
    run: RunView, runs: list[RunView]
) -> None:
    assert run.config["attack"] is None
    assert attack_setting(run) == ["unknown"]
    assert attack_setting(run, runs[2]) == ["unknown", "dba"]


def test_charts_have_a_third_kind(run: RunView) -> None:
    assert rates([run], ["x"]) is None
    assert curves([run], ["x"]).layout.shapes == ()
    cells, walk, marks = verdict_map(run), reachability(run), sizes(run)
    assert cells is not None
    assert walk is not None
    assert marks is not None
    names = [outcome.name for outcome in UNKNOWN_OUTCOMES]
    for figure in (cells, walk, marks):
        assert [trace.name for trace in figure.data[:2]] == names
    assert [trace.marker.pattern.shape for trace in cells.data[:2]] == ["", "x"]
    assert [trace.marker.symbol for trace in marks.data[:2]] == ["square", "square-open"]
    norms = {v.client for v in run.verdicts if v.norm is not None}
    assert {int(c) for trace in marks.data[:2] for c in trace.customdata} == norms
    for frame in walk.frames:
        verdicts = run.by_round[int(frame.name)]
        rejected = sum(not verdict.accepted for verdict in verdicts)
        assert f"{rejected} of {len(verdicts)} clients rejected" in frame.layout.meta
        bars = sorted(x for bar in frame.data[:2] for x in bar.x)
        assert bars == sorted(v.position for v in verdicts if v.position is not None)


def test_a_deployment_is_nobodys_floor_and_has_a_dash_beside_a_simulation(
    run: RunView, runs: list[RunView]
) -> None:
    data = replace(run, config={**run.config, "dataset": runs[2].config["dataset"]})
    assert find_clean(runs[2], [data]) is None
    table = metrics_table([runs[2], run], ["a", "b"])
    places = [
        place
        for place, column in enumerate(table.columns[1:])
        if column.text in ("AER", "BRR")
    ]
    assert len(places) == 2
    assert [table.rows[1].cells[place].text for place in places] == [DASH, DASH]
    page = Page(render([runs[2], run]))
    figure = json.loads(page.figures["aer-brr-figure"])
    assert {trace["name"] for trace in figure["data"]} == {"fedward"}
    assert "honest, accepted" in page.figures["verdicts-0-figure"]
    assert "honest" not in page.figures["verdicts-1-figure"]


def test_a_deployment_that_has_only_begun(run: RunView) -> None:
    config = {k: v for k, v in run.config.items() if k != "attackers"}
    new = replace(run, rounds=(), verdicts=(), result=None, config=config)
    assert (new.blind, new.clean) == (True, False)
    assert Page(render([new])).wrong == []


def test_what_was_learned_later_counts_from_then_on(half: RunView) -> None:
    assert (half.blind, half.clean) == (True, False)
    assert half.attacked_rounds == tuple(range(7, 12))
    cells = verdict_map(half)
    assert cells is not None
    drawn = {trace.name: set(trace.x) for trace in cells.data[:6]}
    assert len(drawn) == 6
    unknown = drawn["client, accepted"] | drawn["client, rejected"]
    assert unknown == set(range(7))
    assert drawn["honest, accepted"] == set(range(7, 12))
    figure = rates([half], ["x"])
    assert figure is not None
    assert {x for trace in figure.data for x in trace.x} == set(range(7, 12))
    text = " ".join(Page(render([half])).text)
    assert "of 20 malicious updates were admitted" in text
    assert "of 70 updates were accepted" in text


def test_a_drill_knows_and_its_settings_need_not_name_the_attack(tmp_path: Path) -> None:
    if not HAS_FLOWER:
        missing("the extra 'flower'")
    run = deploy(tmp_path / "drill", frozenset({AWAY}))
    assert (run.blind, run.clean) == (False, False)
    assert run.attacked_rounds == tuple(range(ROUNDS))
    assert about([run]).endswith("attack planted attackers")
    assert attack_setting(run) == ["planted attackers"]
    cells = verdict_map(run)
    assert cells is not None
    caught = next(t for t in cells.data if t.name == "attacker, rejected")
    assert list(caught.x) == list(range(ROUNDS))
    assert str(TOP) in {told[0] for trace in cells.data for told in trace.customdata or ()}
