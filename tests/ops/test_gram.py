from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.spatial.distance import cdist
from torch import Tensor

from fedward.ops.blocks import WIDTH
from fedward.ops.distances import row_norms
from fedward.ops.gram import (
    cosines,
    distances_to_combination,
    gram,
    model_gram,
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


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("gram", "distances"):
        monkeypatch.setattr(f"fedward.ops.{module}.gram_loops", lambda: None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("clients", [1, 3, 4, 13])
def test_inner_products_are_numpys(clients: int, dtype: torch.dtype) -> None:
    """Round the size of a tile of rows, and of a part of the columns."""
    generator = torch.Generator().manual_seed(clients)
    rows = torch.randn(clients, WIDTH + 517, generator=generator).to(dtype)
    shift = torch.randn(WIDTH + 517, generator=generator)
    moved = rows.double().numpy() + shift.double().numpy()
    expected, size = moved @ moved.T, float((moved**2).sum())
    np.testing.assert_allclose(gram(rows, shift), expected, atol=1e-13 * size)
    view = torch.stack([rows, rows], dim=1)[:, 0]
    assert gram(view, shift).equal(gram(rows, shift))
    assert gram(rows.T.contiguous().T, shift).shape == (clients, clients)


@pytest.mark.usefixtures("without_numba")
def test_without_numba() -> None:
    test_worked_case()
    test_inner_products_are_numpys(4, torch.float32)
    rows, params = torch.randn(5, 40), torch.randn(40)
    assert model_gram(rows, params, row_norms(rows)).equal(gram(rows, params))


def models(spread: float, far: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Updates with much in common, two of them equal, one much longer; and a model."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(1, 9000, generator=generator)
    updates = 0.05 * (common + spread * torch.randn(9, 9000, generator=generator))
    updates[4], updates[7] = updates[1], far * updates[7]
    return updates, torch.randn(9000, generator=generator)


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("far", [1.0, 1e6, 1e25])
def test_products_of_models_are_as_near_as_they_say(spread: float, far: float) -> None:
    updates, params = models(spread, far)
    norms = row_norms(updates)
    found, expected = model_gram(updates, params, norms), gram(updates, params)
    apart = (found - expected).abs() / (norms[:, None] * norms)
    # The measured error, and what float64 loses of a product with a long model.
    lost = 1e-13 * expected.abs() / (norms[:, None] * norms)
    assert (apart <= 1e-7 + lost).all()
    assert found.equal(found.T)
    assert found[1].equal(found[4])
    assert found[1, 1] == found[1, 4] == found[4, 4]


@pytest.mark.parametrize("products", [gram, lambda u, g: model_gram(u, g, row_norms(u))])
def test_bits_move_with_the_rows_and_not_with_the_threads(
    products: Callable[[Tensor, Tensor], Tensor],
) -> None:
    generator = torch.Generator().manual_seed(1)
    updates = torch.randn(11, 5 * WIDTH + 3, generator=generator)
    params = torch.randn(5 * WIDTH + 3, generator=generator)
    found, order = products(updates, params), torch.randperm(11, generator=generator)
    assert products(updates[order], params).equal(found[order][:, order])
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert products(updates, params).equal(found)
    finally:
        torch.set_num_threads(before)


def test_a_model_that_vanishes_is_done_in_double_precision() -> None:
    updates, params = models(1.0, 1.0)
    updates[2] = -params
    updates[3] = -params + 1e-4 * updates[3]
    found = model_gram(updates, params, row_norms(updates))
    assert found.equal(gram(updates, params))
    assert not found[2].any()
