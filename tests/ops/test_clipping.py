import math

import pytest
import torch
from hypothesis import given, strategies as st

from fedward.ops.clipping import clip_bound, clip_factors

NORMS = torch.tensor([3.0, 1.0, 10.0, 2.0], dtype=torch.float64)
norm_lists = st.lists(st.floats(0, 1e6), min_size=1, max_size=40)


def test_bounds_worked_case() -> None:
    assert clip_bound(NORMS, 3, "sorted") == 3.0
    assert clip_bound(NORMS, 1, "sorted") == 1.0
    assert clip_bound(NORMS, 3, "unsorted") == 10.0
    assert clip_bound(NORMS, 3, "median") == 2.5
    assert clip_bound(NORMS, 3, "none") == math.inf


@pytest.mark.parametrize("accepted", [0, 5])
def test_accepted_out_of_range(accepted: int) -> None:
    with pytest.raises(ValueError, match=f"1 <= accepted <= 4 clients, got {accepted}"):
        clip_bound(NORMS, accepted, "sorted")


@given(norms=norm_lists, data=st.data())
def test_sorted_bound_is_reached_by_exactly_that_many(
    norms: list[float], data: st.DataObject
) -> None:
    accepted = data.draw(st.integers(1, len(norms)))
    bound = clip_bound(torch.tensor(norms, dtype=torch.float64), accepted, "sorted")
    assert sum(norm <= bound for norm in norms) >= accepted
    assert sum(norm < bound for norm in norms) < accepted


def test_factors_inside_on_and_outside_the_ball() -> None:
    factors = clip_factors(torch.tensor([0.0, 1.0, 2.0, 4.0], dtype=torch.float64), 2.0)
    assert factors.tolist() == [1.0, 1.0, 1.0, 0.5]


def test_zero_bound_and_zero_norms_give_numbers() -> None:
    factors = clip_factors(torch.tensor([0.0, 3.0], dtype=torch.float64), 0.0)
    assert factors.tolist() == [1.0, 0.0]


@given(norms=norm_lists, bound=st.floats(1e-6, 1e6))
def test_clipping_equals_equation_4_and_twice_is_once(
    norms: list[float], bound: float
) -> None:
    vector = torch.tensor(norms, dtype=torch.float64)
    factors = clip_factors(vector, bound)
    expected = [1 / max(1.0, norm / bound) for norm in norms]
    assert factors.tolist() == pytest.approx(expected, rel=1e-12)
    clipped = vector * factors
    assert bool((clipped <= bound * (1 + 1e-12)).all())
    again = clipped * clip_factors(clipped, bound)
    torch.testing.assert_close(again, clipped, rtol=1e-12, atol=0)
