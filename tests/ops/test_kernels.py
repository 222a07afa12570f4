import builtins
import logging
import math
import threading
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from fedward.ops import portable
from fedward.ops.kernels import Kernels, kernels, spread


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of Numba's loops that fails, as it does where Numba is absent."""
    real = builtins.__import__

    def refuse(name: str, *words: Any) -> ModuleType:
        if name == "fedward.ops" and "compiled" in (words[2] or ()):
            raise ImportError("No module named 'numba'")
        return real(name, *words)

    monkeypatch.setattr(builtins, "__import__", refuse)
    kernels.cache_clear()


def test_without_numba_numpy_is_taken_and_that_is_said_once(
    without_numba: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.INFO, "fedward"):
        assert kernels() is portable
        assert kernels() is portable
    monkeypatch.undo()
    kernels.cache_clear()
    assert [record.message for record in caplog.records] == [
        "signatures are made by NumPy; the extra 'speed' is faster "
        "(No module named 'numba')"
    ]


def loops() -> list[Kernels]:
    """All that there are on this machine."""
    return [portable, kernels()]


@given(st.integers(1, 3000), st.integers(0, 10), st.integers(0, 99))
def test_weighted_sums_are_exactly_rounded_sums_in_order(
    columns: int, rows: int, seed: int
) -> None:
    """Against Python's floats, one row after the other, for rows with gaps between."""
    random = np.random.default_rng(seed)
    flat = random.standard_normal(rows * (columns + 3) + columns).astype(np.float32)
    offsets = np.arange(rows) * (columns + 3)
    weights = random.standard_normal(rows)
    checked = [0, columns // 2, columns - 1]
    expected = []
    for column in checked:
        total = 0.0
        for offset, weight in zip(offsets.tolist(), weights.tolist(), strict=True):
            total += weight * float(flat[offset + column])
        expected.append(np.float32(total))
    for loop in loops():
        out = np.full(columns, np.nan, np.float32)
        loop.weighted(flat, offsets, weights, out, 0, columns)
        assert out[checked].tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_shows_in_the_sum_of_squares(
    dtype: type, poison: float
) -> None:
    for place in (0, 5, 9, 69):
        row: NDArray[np.floating[Any]] = np.ones(70, dtype)
        row[place] = poison
        for loop in loops():
            bits, present = np.zeros(16, np.uint8), np.zeros(16, np.uint8)
            total = loop.scan(
                row,
                np.array([0, 70]),
                np.array([0, 16]),
                np.zeros(16, np.uint8),
                bits,
                present,
                np.zeros(1),
                np.zeros(1, np.int64),
            )
            assert not math.isfinite(total)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_every_item_is_done_once(threads: int, count: int) -> None:
    done: list[int] = []
    before, alive = torch.get_num_threads(), threading.active_count()
    try:
        torch.set_num_threads(threads)
        spread(done.append, range(count))
    finally:
        torch.set_num_threads(before)
    assert sorted(done) == list(range(count))
    assert threading.active_count() == alive


def test_failures_are_not_lost() -> None:
    def fail(item: int) -> None:
        raise RuntimeError(f"item {item}")

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(RuntimeError, match="item 0"):
            spread(fail, range(3))
    finally:
        torch.set_num_threads(before)
