"""Cells that are trained together in one process, by the stacked engine."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fedward.bench.execute import execute, stacks
from fedward.bench.grid import Cell
from fedward.bench.work import Bench, run_cell, run_cells
from fedward.engine import Stacked, Together
from fedward.engine.together import Request
from fedward.simulation.runner import folder_of
from tests.bench.tiny import TINY, bits, cells


@pytest.fixture(scope="module")
def chosen() -> list[Cell]:
    return cells("fedavg", "median", "fedward")


def together(runs: Path, height: int = 3) -> Bench:
    return Bench(runs, engine="stacked", stack=height)


def test_cells_leave_what_each_leaves_alone(chosen: Sequence[Cell], tmp_path: Path) -> None:
    alone = Bench(tmp_path / "alone", engine="stacked", share=False)
    outcomes = run_cells([cell.config for cell in chosen], together(tmp_path / "together"))
    for cell, outcome in zip(chosen, outcomes, strict=True):
        assert outcome.error is None
        assert outcome.key == cell.key
        assert run_cell(cell.config, alone).error is None
        expected = bits(cell.config, tmp_path / "alone")
        assert bits(cell.config, tmp_path / "together") == expected
        assert outcome.result is not None
        assert outcome.result["provenance"]["engine"] == "stacked"


def test_they_share_steps(
    chosen: Sequence[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    train = Stacked.train

    def counting(self: Stacked, model, starts, pixels, plans):  # type: ignore[no-untyped-def]
        calls.append(len(plans))
        return train(self, model, starts, pixels, plans)

    monkeypatch.setattr(Stacked, "train", counting)
    monkeypatch.setattr("fedward.engine.together.SHORTEST", 120.0)
    bench = replace(together(tmp_path), share=False)
    run_cells([cell.config for cell in chosen], bench)
    assert calls == [3 * TINY.clients_per_round] * TINY.rounds


def test_whoever_waits_for_a_warm_up_is_not_waited_for(
    chosen: Sequence[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom those wait for that train, whenever they have waited: at first nobody else."""
    waited_for: list[int] = []
    met = Together._met

    def watched(self: Together) -> list[Request]:
        found = met(self)
        waited_for.append(self._runs)
        return found

    monkeypatch.setattr("fedward.engine.together.SHORTEST", 30.0)
    monkeypatch.setattr(Together, "_met", watched)
    outcomes = run_cells([cell.config for cell in chosen], together(tmp_path))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert waited_for[0] == 1


def test_one_that_fails_does_not_stop_the_others(
    chosen: Sequence[Cell], tmp_path: Path
) -> None:
    bench = together(tmp_path)
    with folder_of(chosen[1].config, tmp_path).locked():
        outcomes = run_cells([cell.config for cell in chosen], bench)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "RunLocked" in str(outcomes[1].error)


def test_no_place_on_a_card_is_waited_for_once(
    chosen: Sequence[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def full(device: str, session: str, workers: int) -> str:
        asked.append(device)
        raise RuntimeError("every place has a worker already")

    monkeypatch.setattr("fedward.bench.work.own_device", full)
    outcomes = run_cells([cell.config for cell in chosen], together(tmp_path))
    assert asked == ["cpu"]
    assert [outcome.key for outcome in outcomes] == [cell.key for cell in chosen]
    for outcome in outcomes:
        assert outcome.error == "RuntimeError: every place has a worker already"


def test_a_grid_hands_them_out_in_stacks(chosen: Sequence[Cell], tmp_path: Path) -> None:
    begun: list[Cell] = []
    outcomes = list(execute(chosen, together(tmp_path, 2), 1, begun.append))
    assert begun == list(chosen)
    assert {outcome.key for outcome in outcomes} == {cell.key for cell in chosen}
    assert all(outcome.error is None for outcome in outcomes)


def test_a_stack_is_of_one_data_set(chosen: Sequence[Cell]) -> None:
    digits = cells("fedavg", "median", base=replace(TINY, dataset="mnist-small"))
    found = [len(stack) for stack in stacks([*chosen, *digits], 2)]
    assert found == [2, 1, 2]
