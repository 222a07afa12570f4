import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from fedward.ops.means import weighted_mean, weighted_sum
from tests.ops.matrices import matrices


def test_worked_case() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]])
    weights = torch.tensor([3.0, 1.0, 0.0])
    assert weighted_sum(rows, weights).tolist() == [6, 12]
    assert weighted_mean(rows, weights).tolist() == [1.5, 3]


@given(matrices(fewest=1), st.integers(0, 1000))
def test_against_numpy(rows: Tensor, seed: int) -> None:
    weights = torch.rand(len(rows), generator=torch.Generator().manual_seed(seed)).double()
    wide, shares = rows.double().numpy(), weights.numpy()
    size = np.abs(wide).max()
    np.testing.assert_allclose(
        weighted_mean(rows, weights),
        np.average(wide, axis=0, weights=shares),
        rtol=1e-5,
        atol=1e-6 * size,
    )
    np.testing.assert_allclose(
        weighted_sum(rows, weights), shares @ wide, rtol=1e-5, atol=1e-5 * size
    )


@given(matrices(fewest=1), st.integers(-20, 20))
def test_only_the_ratio_of_the_weights_counts(rows: Tensor, exponent: int) -> None:
    weights = torch.arange(1.0, len(rows) + 1)
    scaled = weights * math.ldexp(1.0, exponent)
    assert weighted_mean(rows, scaled).equal(weighted_mean(rows, weights))


@pytest.mark.parametrize("average", [weighted_mean, weighted_sum])
@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_rows_of_weight_zero_are_not_read(average: object, poison: float) -> None:
    rows = torch.tensor([[1.0, 2.0], [poison, poison]])
    assert callable(average)
    assert average(rows, torch.tensor([1.0, 0.0])).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_dtype_is_kept(dtype: torch.dtype) -> None:
    assert weighted_mean(torch.ones(2, 3, dtype=dtype), torch.ones(2)).dtype == dtype


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.0, 0.0], "sum to zero"),
        ([1.0, -0.5], "not negative"),
        ([1.0, math.nan], "finite"),
        ([1.0, math.inf], "finite"),
    ],
)
def test_impossible_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighted_mean(torch.ones(2, 3), torch.tensor(weights))
