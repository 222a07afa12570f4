import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import KMeans
from torch import Tensor

from fedward.ops.gram import squared_distances
from fedward.ops.two_means import two_means, two_means_1d


def inertia(rows: Tensor, second: Tensor) -> float:
    groups = [rows[second], rows[~second]]
    return sum(float((g - g.mean(0)).square().sum()) for g in groups if len(g))


def best_inertia(rows: Tensor) -> float:
    """Over all ways to split the rows in two."""
    splits = itertools.product((False, True), repeat=len(rows) - 1)
    return min(inertia(rows, torch.tensor([False, *split])) for split in splits)


def test_worked_case_on_a_line() -> None:
    values = torch.tensor([0.9, 0.1, 1.0, 0.2, 0.95]).double()
    assert two_means_1d(values).tolist() == [True, False, True, False, True]


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=9))
def test_a_line_is_split_at_the_least_inertia(numbers: list[int]) -> None:
    values = torch.tensor(numbers).double()
    upper = two_means_1d(values)
    assert inertia(values[:, None], upper) == pytest.approx(best_inertia(values[:, None]))
    if len(set(numbers)) > 1:
        assert values[upper].min() > values[~upper].max()
    else:
        assert upper.all()


@given(st.integers(3, 40), st.integers(0, 1000))
def test_a_line_is_never_split_worse_than_by_scikit_learn(clients: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(clients, 1))
    theirs = KMeans(2, n_init=1, random_state=seed).fit(values).inertia_
    rows = torch.from_numpy(values)
    assert inertia(rows, two_means_1d(rows[:, 0])) <= theirs * (1 + 1e-9)


def test_one_value() -> None:
    assert two_means_1d(torch.tensor([3.0]).double()).tolist() == [True]


@given(st.integers(2, 9), st.integers(1, 4), st.integers(0, 1000), st.floats(4, 20))
def test_two_groups_are_found(clients: int, dims: int, seed: int, apart: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(clients, dims, generator=generator).double()
    far = torch.rand(clients, generator=generator) < 0.4
    rows[far] += apart
    split = two_means(squared_distances(rows))
    assert inertia(rows, split) == pytest.approx(best_inertia(rows), rel=0.1)


@given(st.integers(4, 20), st.integers(0, 1000))
def test_the_split_is_a_fixed_point_and_beats_one_start_of_scikit_learn(
    clients: int, seed: int
) -> None:
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(clients, 2)))
    rows[: clients // 3] += 5
    split = two_means(squared_distances(rows))
    centres = torch.stack([rows[~split].mean(0), rows[split].mean(0)])
    nearest = (rows[:, None] - centres).norm(dim=2).argmin(dim=1)
    assert nearest.bool().equal(split)
    theirs = KMeans(2, n_init=1, random_state=seed).fit(rows.numpy()).inertia_
    assert inertia(rows, split) <= theirs * (1 + 1e-9)


def test_permuting_the_rows_permutes_the_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 5, generator=generator)
    order = torch.randperm(12, generator=generator)
    plain, moved = (two_means(squared_distances(r)) for r in (rows, rows[order]))
    assert moved.equal(plain[order]) or moved.equal(~plain[order])


@pytest.mark.parametrize("clients", [1, 2, 5])
def test_equal_rows_are_one_group(clients: int) -> None:
    assert not two_means(torch.zeros(clients, clients).double()).any()
