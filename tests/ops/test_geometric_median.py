import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.optimize import minimize
from torch import Tensor

from fedward.ops.geometric_median import Weiszfeld, smoothed_weiszfeld
from fedward.ops.gram import gram


def median(rows: Tensor, iterations: int = 1000, masses: Tensor | None = None) -> Weiszfeld:
    weights = torch.ones(len(rows)).double() if masses is None else masses
    return smoothed_weiszfeld(gram(rows), weights, 1e-9, iterations, 1e-14)


def test_fermat_point_of_an_equilateral_triangle() -> None:
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]]).double()
    found = median(rows)
    np.testing.assert_allclose(found.weights, 1 / 3, rtol=1e-6)
    assert found.objective == pytest.approx(1 / math.sqrt(3))


def test_fermat_point_that_is_a_corner() -> None:
    """With an angle of 120 degrees or more the corner itself is the median."""
    rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.1]]).double()
    point = median(rows).weights @ rows
    np.testing.assert_allclose(point, [0, 0], atol=1e-5)


def test_crossing_diagonals() -> None:
    """Of four corners of a convex quadrilateral it is where the diagonals cross."""
    rows = torch.tensor([[0.0, 0.0], [4.0, 4.0], [4.0, 0.0], [0.0, 2.0]]).double()
    point = median(rows).weights @ rows
    np.testing.assert_allclose(point, [4 / 3, 4 / 3], rtol=1e-5)


@given(st.integers(3, 12), st.integers(0, 500))
def test_no_direction_is_downhill(clients: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(clients, 3, generator=generator).double()
    masses = torch.rand(clients, generator=generator).double() + 0.1
    found = median(rows, masses=masses)

    def objective(point: np.ndarray) -> float:
        distances = np.linalg.norm(rows.numpy() - point, axis=1)
        return float(masses.numpy() @ distances / masses.sum())

    start = (found.weights @ rows).numpy()
    assert found.objective == pytest.approx(objective(start), rel=1e-6)
    assert found.objective <= minimize(objective, start, method="Nelder-Mead").fun + 1e-6


@given(st.integers(1, 8), st.integers(0, 100))
def test_against_the_iteration_on_the_rows_themselves(steps: int, seed: int) -> None:
    rows = torch.randn(7, 20, generator=torch.Generator().manual_seed(seed)).double()
    point = rows.mean(0)
    for _ in range(steps):
        pull = 1 / (rows - point).norm(dim=1).clamp(min=1e-9)
        point = (pull[:, None] * rows).sum(0) / pull.sum()
    found = smoothed_weiszfeld(gram(rows), torch.ones(7).double(), 1e-9, steps, -math.inf)
    assert found.iterations == steps
    torch.testing.assert_close(found.weights @ rows, point)


def test_smoothing_makes_a_mean_of_what_is_close() -> None:
    rows = 1e-3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    masses = torch.arange(1.0, 6.0).double()
    found = smoothed_weiszfeld(gram(rows), masses, 1.0, 100, 1e-9)
    torch.testing.assert_close(found.weights, masses / 15)


def test_equal_rows_end_at_once() -> None:
    found = median(torch.ones(4, 3))
    assert found.iterations == 1
    assert found.weights.tolist() == [0.25] * 4
    assert found.objective == 0


@pytest.mark.parametrize("far", [1e3, 1e9, 1e16, 1e20, 1e30])
def test_a_far_row_only_pulls_by_its_direction(far: float) -> None:
    """The gradient of a distance is a unit vector: as it grows the median has a limit."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(7, 4, generator=generator).double()
    direction = torch.tensor([1.0, 0, 0, 0]).double()
    weights = torch.ones(8).double()
    found = smoothed_weiszfeld(
        gram(torch.cat([rows, far * direction[None]])), weights, 1e-9, 1000, 1e-14
    )
    point = found.weights @ torch.cat([rows, far * direction[None]])

    def pulled(point: np.ndarray) -> float:
        distances = np.linalg.norm(rows.numpy() - point, axis=1)
        return float(distances.sum() - point @ direction.numpy())

    limit = minimize(pulled, rows.mean(0).numpy(), method="Nelder-Mead",
                     options={"xatol": 1e-6, "fatol": 1e-9}).x  # fmt: skip
    np.testing.assert_allclose(point, limit, atol=2e-2)
