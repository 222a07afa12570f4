import importlib.util
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fedward.bench.grid import Cell
from fedward.bench.trackers import curves, make_tracker
from fedward.bench.work import Bench, Outcome, run_cell
from fedward.settings import UnknownName
from tests.bench.tiny import cells
from tests.needs import missing


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cell, Outcome]:
    """A real cell of five rounds, two clients of six attack from the third."""
    (cell,) = cells("fedward")
    return cell, run_cell(cell.config, Bench(tmp_path_factory.mktemp("runs")))


def expected(outcome: Outcome) -> dict[str, dict[int, float]]:
    """The figures from the lines, by hand."""
    lines = outcome.rounds
    attacked = [line for line in lines if line["attackers"]]
    return {
        "MA": {line["round"]: line["ma"] for line in lines},
        "ASR/whole": {line["round"]: line["asr"]["whole"] for line in lines},
        "AER": {line["round"]: line["admitted_attackers"] / 2 for line in attacked},
        "BRR": {line["round"]: line["rejected_benign"] / 4 for line in attacked},
    }


def test_curves_are_the_lines(done: tuple[Cell, Outcome]) -> None:
    _, outcome = done
    found: dict[str, dict[int, float]] = {}
    for name, round, value in curves(outcome.rounds, selects=True):
        found.setdefault(name, {})[round] = value
    parts = {name: found.pop(name) for name in list(found) if name.startswith("ASR/part")}
    assert found == expected(outcome)
    assert [sorted(rounds) for rounds in parts.values()] == [[4]] * 4
    unselecting = {name for name, _, _ in curves(outcome.rounds, selects=False)}
    assert not unselecting & {"AER", "BRR"}


def test_what_is_undefined_is_left_out() -> None:
    line: dict[str, Any] = {
        "round": 0, "ma": None, "asr": {}, "defended": True, "clients": 3, "attackers": 0,
        "admitted_attackers": 0, "rejected_benign": 1,
    }  # fmt: skip
    assert list(curves([line], selects=True)) == [("BRR", 0, 1 / 3)]
    assert list(curves([{**line, "defended": False}], selects=True)) == []


def test_tensorboard_reads_what_was_written(
    done: tuple[Cell, Outcome], tmp_path: Path
) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        missing("tensorboard")
    events_of: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    cell, outcome = done
    assert outcome.result is not None
    for _ in range(2):  # the second finds it there
        tracker = make_tracker("tensorboard", tmp_path, "mine")
        tracker.write(cell, "one", outcome.rounds, outcome.result)
    (folder,) = (tmp_path / "tensorboard" / "mine").iterdir()
    assert folder.name == f"one-{cell.key}"
    files = list(folder.iterdir())
    assert len(files) == 1
    read = events_of.EventAccumulator(str(files[0]))
    read.Reload()
    for name, values in expected(outcome).items():
        events = {event.step: event.value for event in read.Scalars(name)}
        assert events == pytest.approx(values)


def test_mlflow_reads_what_was_written(done: tuple[Cell, Outcome], tmp_path: Path) -> None:
    if importlib.util.find_spec("mlflow") is None:
        missing("mlflow-skinny")
    cell, outcome = done
    assert outcome.result is not None
    for _ in range(2):
        tracker: Any = make_tracker("mlflow", tmp_path, "mine")
        tracker.write(cell, "one", outcome.rounds, outcome.result)
    (run,) = tracker.client.search_runs([tracker.experiment])
    assert run.data.params == dict(cell.at)
    assert run.data.tags["key"] == cell.key
    assert run.info.status == "FINISHED"
    for name, values in expected(outcome).items():
        history = tracker.client.get_metric_history(run.info.run_id, name)
        assert {metric.step: metric.value for metric in history} == pytest.approx(values)


def test_trackers_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'tensorboard'"):
        make_tracker("tensorbord", tmp_path, "mine")
