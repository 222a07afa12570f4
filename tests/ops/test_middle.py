from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from fedward.ops import middle
from fedward.ops.middle import middle_two

numbers = st.one_of(
    st.floats(0, 1),
    st.floats(0, 1e300),
    st.sampled_from([0.0, 5e-324, 1.0, 1 + 2**-52, 1 + 2**-40, 3.0, np.inf]),
)


def in_blocks(values: NDArray[np.float64], width: int) -> Iterator[NDArray[np.float64]]:
    return (values[start : start + width] for start in range(0, len(values), width))


@pytest.mark.parametrize("held", [1, 3, 1 << 21])
@given(values=st.lists(numbers, min_size=1, max_size=60), width=st.integers(1, 70))
def test_equals_sorting(held: int, values: list[float], width: int) -> None:
    """With little room the digits decide, down to the last bit."""
    array = np.array(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(middle, "HELD", held)
        found = middle_two(lambda: in_blocks(array, width), len(array))
    ordered = np.sort(array)
    assert found == (ordered[(len(array) - 1) // 2], ordered[len(array) // 2])


def test_more_than_is_held() -> None:
    array = np.random.default_rng(0).normal(50, 0.1, middle.HELD + 100_001)
    low, high = middle_two(lambda: in_blocks(array, 1 << 16), len(array))
    assert low == high == np.median(array)


def test_worked_case() -> None:
    blocks = [np.array([[4.0, 1.0]]), np.array([[2.0, 8.0]])]
    assert middle_two(lambda: iter(blocks), 4) == (2, 4)
    assert middle_two(lambda: iter(blocks[:1]), 2) == (1, 4)
