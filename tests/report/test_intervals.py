import math
import random

import pytest
from hypothesis import given, strategies as st
from scipy import stats

from fedward.report.intervals import Interval, interval

shares = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def test_of_nothing_and_of_one() -> None:
    assert interval([]) is None
    assert interval([0.25]) == Interval(0.25, None, 1)


def test_two_and_three_values_by_hand() -> None:
    """t(0.975) is tan(0.475 pi) = 12.706 with one degree of freedom, 4.303 with two."""
    two = interval([0.0, 2.0])
    assert two is not None
    assert (two.mean, two.n) == (1.0, 2)
    assert two.half == pytest.approx(math.tan(0.475 * math.pi))
    three = interval([1.0, 2.0, 3.0])
    assert three is not None
    assert three.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


@given(shares, st.floats(0.1, 10), st.floats(-1, 1))
def test_moves_and_scales_with_its_values(
    values: list[float], scale: float, shift: float
) -> None:
    one, other = interval(values), interval([scale * v + shift for v in values])
    assert one is not None
    assert other is not None
    assert one.half is not None
    assert other.mean == pytest.approx(scale * one.mean + shift, abs=1e-9)
    assert other.half == pytest.approx(scale * one.half, abs=1e-9)


@given(shares)
def test_equals_scipys_interval(values: list[float]) -> None:
    made = interval(values)
    assert made is not None
    assert made.half is not None
    error = stats.sem(values)
    if error > 1e-12:
        low, high = stats.t.interval(0.95, len(values) - 1, made.mean, error)
        assert made.mean - made.half == pytest.approx(low, abs=1e-12)
        assert made.mean + made.half == pytest.approx(high, abs=1e-12)


def test_holds_the_true_mean_in_about_19_of_20_experiments() -> None:
    rng = random.Random(7)
    held = 0
    for _ in range(2000):
        made = interval([rng.gauss(0.3, 0.05) for _ in range(3)])
        assert made is not None
        assert made.half is not None
        held += abs(made.mean - 0.3) <= made.half
    # Five standard errors of a share of 0.95 in 2000.
    assert abs(held / 2000 - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 2000)
