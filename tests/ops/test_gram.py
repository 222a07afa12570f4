import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.spatial.distance import cdist
from torch import Tensor

from fedward.ops.blocks import WIDTH
from fedward.ops.gram import (
    cosines,
    distances_to_combination,
    gram,
    shortest_row,
    squared_distances,
)
from tests.ops.matrices import matrices

right_angle = torch.tensor([[3.0, 0.0], [0.0, 4.0], [3.0, 4.0]])


def test_worked_case() -> None:
    products = gram(right_angle)
    assert products.tolist() == [[9, 0, 9], [0, 16, 16], [9, 16, 25]]
    assert squared_distances(right_angle).tolist() == [[0, 25, 16], [25, 0, 9], [16, 9, 0]]
    expected = torch.tensor([[1, 0, 0.6], [0, 1, 0.8], [0.6, 0.8, 1]], dtype=torch.float64)
    torch.testing.assert_close(cosines(products), expected)
    weights = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    assert distances_to_combination(products, weights).tolist() == [2.5, 2.5, 2.5]


def test_shift_is_added_to_every_row() -> None:
    shift = torch.tensor([1.0, -1.0])
    assert gram(right_angle, shift).equal(gram(right_angle + shift))


@given(matrices(fewest=1))
def test_distances_are_scipys(rows: Tensor) -> None:
    wide = rows.double().numpy()
    expected = cdist(wide, wide, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(rows), expected, rtol=1e-10)


@given(matrices(fewest=1))
def test_distances_are_symmetric_and_exactly_zero_between_equals(rows: Tensor) -> None:
    squares = squared_distances(torch.cat([rows, rows[:1]]))
    assert squares.equal(squares.T)
    assert not squares.diagonal().any()
    assert squares[0, -1] == 0


@given(matrices(fewest=1))
def test_cosines_are_scipys_where_there_is_a_direction(rows: Tensor) -> None:
    angles = cosines(gram(rows))
    there = rows.any(dim=1)
    wide = rows[there].double().numpy()
    np.testing.assert_allclose(
        angles[there][:, there], 1 - cdist(wide, wide, "cosine"), atol=1e-12
    )
    off = ~torch.eye(len(rows), dtype=torch.bool)
    assert not angles[~there][off[~there]].any()
    assert angles.diagonal().eq(1).all()
    assert angles.equal(angles.T)


@pytest.mark.parametrize("spread", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("far", [1.0, 1e8])
def test_close_rows_and_a_far_one(spread: float, far: float) -> None:
    """The far row must not become the origin; the close ones need differences."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(1, 500, generator=generator)
    rows = (common + spread * torch.randn(6, 500, generator=generator)).float()
    rows[2] *= far
    wide = rows.double().numpy()
    expected = cdist(wide, wide, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(rows), expected, rtol=1e-9)


@given(matrices(fewest=2))
def test_distances_to_a_combination(rows: Tensor) -> None:
    weights = torch.arange(1.0, len(rows) + 1).double()
    weights /= weights.sum()
    wide = rows.double()
    expected = (wide - weights @ wide).norm(dim=1)
    size = float(wide.norm(dim=1).max())
    actual = distances_to_combination(gram(rows), weights)
    np.testing.assert_allclose(actual, expected, atol=1e-7 * size)


def test_more_columns_than_a_block() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 2 * WIDTH + 5, generator=generator)
    shift = torch.randn(2 * WIDTH + 5, generator=generator)
    moved = rows.double() + shift
    np.testing.assert_allclose(gram(rows, shift), moved @ moved.T, rtol=1e-11)
    rows[1] = rows[0] + 1e-3 * rows[2]
    wide = rows.double().numpy()
    np.testing.assert_allclose(
        squared_distances(rows), cdist(wide, wide, "sqeuclidean"), rtol=1e-9
    )


def test_shortest_row_is_a_view() -> None:
    rows = torch.tensor([[3.0, 4.0], [1.0, 1.0], [9.0, 0.0]])
    assert shortest_row(rows).data_ptr() == rows[1].data_ptr()


def test_enormous_rows_do_not_overflow() -> None:
    rows = 1e30 * right_angle
    torch.testing.assert_close(cosines(gram(rows)), cosines(gram(right_angle)))
    assert squared_distances(rows).isfinite().all()
