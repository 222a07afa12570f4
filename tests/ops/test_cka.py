import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.spatial.distance import pdist, squareform
from torch import Tensor

from fedward.ops.cka import centred_rbf, cka

pairs = st.tuples(st.integers(2, 12), st.integers(1, 9), st.integers(0, 500))


def matrices(case: tuple[int, int, int], count: int = 2) -> list[Tensor]:
    examples, features, seed = case
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(examples, features, generator=generator) for _ in range(count)]


def similarity(left: Tensor, right: Tensor) -> float:
    return cka(centred_rbf(left), centred_rbf(right))


@given(pairs)
def test_against_the_definition_in_numpy(case: tuple[int, int, int]) -> None:
    kernels = []
    for rows in matrices(case):
        squares = squareform(pdist(rows.double().numpy(), "sqeuclidean"))
        kernels.append(np.exp(-squares / (2 * np.median(squares[squares > 0]))))
    count = case[0]
    centre = np.eye(count) - np.ones((count, count)) / count
    left, right = kernels

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trace(a @ centre @ b @ centre))

    expected = hsic(left, right) / math.sqrt(hsic(left, left) * hsic(right, right))
    assert similarity(*matrices(case)) == pytest.approx(expected, abs=1e-9)


def test_worked_case() -> None:
    """Two rows: one distance, so every kernel is [[1, e^-1/2], [e^-1/2, 1]]."""
    kernel = centred_rbf(torch.tensor([[0.0], [7.0]]))
    half = (1 - math.exp(-0.5)) / 2
    torch.testing.assert_close(
        kernel, torch.tensor([[half, -half], [-half, half]]).double()
    )


@given(pairs)
def test_laws(case: tuple[int, int, int]) -> None:
    left, right = matrices(case)
    forth, back = similarity(left, right), similarity(right, left)
    assert forth == pytest.approx(back)
    assert -1e-12 <= forth <= 1 + 1e-12
    assert similarity(left, left) == 1
    turn = torch.linalg.qr(matrices((case[1], case[1], 7))[0].double())[0].float()
    assert similarity(left, 3 * left @ turn + 5) == pytest.approx(1, abs=1e-5)


def test_matrices_without_two_different_rows_are_like_nothing() -> None:
    left = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert similarity(left, torch.ones(4, 3)) == 0
    assert similarity(torch.ones(1, 3), torch.ones(1, 3)) == 0


def test_equal_rows_do_not_enter_the_bandwidth() -> None:
    """Squared distances 0, 0, 0, 4, 4, 4: their median with the zeros would be 2."""
    rows = torch.tensor([[1.3], [1.3], [1.3], [3.3]])
    kernel = centred_rbf(rows)
    direct = torch.full((4, 4), 1.0).double()
    direct[3, :3] = direct[:3, 3] = math.exp(-0.5)
    centre = torch.eye(4).double() - 0.25
    torch.testing.assert_close(kernel, centre @ direct @ centre)
