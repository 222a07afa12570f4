import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.spatial.distance import cdist
from torch import Tensor

from fedward.ops.blocks import WIDTH
from fedward.ops.distances import pairwise_euclidean, row_norms
from tests.ops.matrices import matrices

several_blocks = torch.randn(3, WIDTH + 5, generator=torch.Generator().manual_seed(0))


def test_worked_case() -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    assert row_norms(rows).tolist() == [0, 5, 3]
    assert pairwise_euclidean(rows).tolist() == [[0, 5, 3], [5, 0, 4], [3, 4, 0]]


@given(matrices(fewest=1))
def test_against_scipy(rows: Tensor) -> None:
    wide = rows.double().numpy()
    np.testing.assert_allclose(pairwise_euclidean(rows), cdist(wide, wide), rtol=1e-12)
    np.testing.assert_allclose(row_norms(rows), np.linalg.norm(wide, axis=1), rtol=1e-12)


@given(matrices(fewest=1))
def test_a_metric(rows: Tensor) -> None:
    distances = pairwise_euclidean(rows)
    assert distances.dtype == torch.float64
    assert not distances.diagonal().any()
    assert distances.equal(distances.T)
    detours = (distances[:, :, None] + distances[None]).min(dim=1).values
    assert (distances <= detours * (1 + 1e-12)).all()


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
def test_rows_close_to_each_other_compared_with_their_length(spread: float) -> None:
    """Where |x|^2 + |y|^2 - 2xy in single precision has no correct digit left."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(1, 1000, generator=generator).double()
    rows = (common + spread * torch.randn(6, 1000, generator=generator)).float()
    wide = rows.double().numpy()
    np.testing.assert_allclose(pairwise_euclidean(rows), cdist(wide, wide), rtol=1e-9)


@given(st.integers(-40, 40))
def test_scaling_by_powers_of_two_is_exact(exponent: int) -> None:
    rows = several_blocks[:, :50]
    scale = math.ldexp(1.0, exponent)
    assert pairwise_euclidean(rows * scale).equal(pairwise_euclidean(rows) * scale)
    assert row_norms(rows * scale).equal(row_norms(rows) * scale)


def test_more_columns_than_a_block() -> None:
    wide = several_blocks.double()
    np.testing.assert_allclose(
        pairwise_euclidean(several_blocks), cdist(wide, wide), rtol=1e-12
    )
    np.testing.assert_allclose(row_norms(several_blocks), wide.norm(dim=1), rtol=1e-12)


def test_no_overflow_where_single_precision_squares_overflow() -> None:
    rows = torch.tensor([[3e30, 4e30], [0.0, 0.0]])
    assert row_norms(rows)[0] == pytest.approx(5e30)
    assert pairwise_euclidean(rows)[0, 1] == pytest.approx(5e30)


def test_one_row() -> None:
    assert pairwise_euclidean(torch.ones(1, 4)).tolist() == [[0]]
