"""Which card a worker computes on."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fedward.bench import work

PICK = work.own_device.__wrapped__
"""Without its memory: here every call is another worker."""


@pytest.fixture(autouse=True)
def claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(work, "_CLAIMS", [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def has(monkeypatch: pytest.MonkeyPatch, cards: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)


def test_workers_are_spread_evenly_over_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 2)
    found = [PICK("cuda", "session", 5) for _ in range(5)]
    assert found == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]


def test_the_place_of_a_worker_that_has_died_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has(monkeypatch, 2)
    assert [PICK("cuda", "session", 2) for _ in range(2)] == ["cuda:0", "cuda:1"]
    work._CLAIMS[0].lock.release()
    assert PICK("cuda", "session", 2) == "cuda:0"


def test_more_workers_than_were_to_be_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 2)
    clock = iter(range(0, 1000, 50))
    quick = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None)
    monkeypatch.setattr(work, "time", quick)
    for _ in range(2):
        PICK("cuda", "session", 1)
    with pytest.raises(RuntimeError, match="every place on the 2 cards"):
        PICK("cuda", "session", 1)


@pytest.mark.parametrize("cards", [0, 1])
def test_a_single_card_is_everybodys(monkeypatch: pytest.MonkeyPatch, cards: int) -> None:
    has(monkeypatch, cards)
    assert [PICK("cuda", "session", 3) for _ in range(4)] == ["cuda"] * 4
    assert PICK("cpu", "session", 3) == "cpu"
