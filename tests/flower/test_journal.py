"""What a server writes when its numbers are none."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, MetricRecord

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from fedward.protocol import Round
from fedward.simulation.folder import RunFolder, read_lines
from tests.flower.grid import Nodes, record
from tests.flower.rounds import HONEST, START, wrapped

UNDEFINED = [float("nan"), float("inf"), -float("inf")]


def run(folder: Path, rounds: int, defense: Any = None, **measured: float) -> None:
    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        return MetricRecord({k.replace("_", " "): v for k, v in measured.items()})

    strategy = Defended(wrapped(), defense=defense or Mean(), folder=folder)
    strategy.start(Nodes(HONEST), record(START), rounds, evaluate_fn=evaluate)


@pytest.mark.parametrize("value", UNDEFINED)
def test_an_accuracy_that_is_no_number_is_null(
    value: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fedward.flower"):
        run(tmp_path, 2, accuracy=value, asr_whole=value, asr_part=0.5)
    lines = read_lines(tmp_path / "rounds.jsonl")
    assert [line["ma"] for line in lines] == [None, None]
    assert [line["asr"] for line in lines] == [{"part": 0.5}] * 2
    assert f"round 1: not written: accuracy is {value}, asr whole is {value}" in caplog.text
    assert caplog.text.count("not written") == 2
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"]["ma_final"] is None
    assert [r.ma for r in RunFolder(tmp_path).records()] == [None, None]


def test_the_server_goes_on_after_it(tmp_path: Path) -> None:
    run(tmp_path, 1, accuracy=float("nan"))
    run(tmp_path, 2, accuracy=0.5)
    lines = read_lines(tmp_path / "rounds.jsonl")
    assert [line["ma"] for line in lines] == [None, 0.5]


def test_a_defense_may_say_what_is_no_number(tmp_path: Path) -> None:
    run(tmp_path, 1, Undefined())
    (line,) = read_lines(tmp_path / "rounds.jsonl")
    assert line["facts"] == {"seen": 5}
    for verdict in read_lines(tmp_path / "verdicts.jsonl"):
        assert (verdict["norm"], verdict["distance"], verdict["factor"]) == (
            None,
            None,
            1.0,
        )
        assert verdict["accepted"] is True


class Undefined:
    """A rule of the user's own, with numbers that JSON does not know."""

    selects, needs = False, 1

    def __call__(self, round: Round, /) -> Any:
        decided = Mean()(round)
        verdicts = tuple(
            replace(verdict, norm=np.inf, distance=np.nan, factor=1.0)
            for verdict in decided.verdicts
        )
        return replace(decided, verdicts=verdicts, facts={"eps": np.inf, "seen": 5.0})
