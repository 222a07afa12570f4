import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import OPTICS
from torch import Tensor

from fedward.ops import optics as optics_module
from fedward.ops.distances import pairwise_euclidean
from fedward.ops.optics import core_distances, dbscan_labels, kth_of_rows, optics, walk
from tests.ops.matrices import make_matrix, matrices

LINE = torch.tensor([[0.0], [1.0], [3.0], [10.0]])


def test_worked_case_on_a_line() -> None:
    """Points 0, 1, 3, 10; the second nearest (itself first) gives cores 1, 1, 2, 7.

    The walk starts at row 0; row 1 is reached at max(1, 1) = 1, row 2 from row 1 at
    max(1, 2) = 2, row 3 from row 2 at max(2, 7) = 7.
    """
    graph = optics(pairwise_euclidean(LINE), min_samples=2)
    assert graph.core_distances.tolist() == [1.0, 1.0, 2.0, 7.0]
    assert graph.ordering.tolist() == [0, 1, 2, 3]
    assert graph.reachability.tolist() == [np.inf, 1.0, 2.0, 7.0]
    assert dbscan_labels(graph, eps=2.0).tolist() == [0, 0, 0, -1]
    assert dbscan_labels(graph, eps=0.5).tolist() == [-1] * 4
    assert dbscan_labels(graph, eps=7.0).tolist() == [0] * 4


@given(rows=matrices(), share=st.floats(0.1, 1.0), quantile=st.floats(0.0, 1.0))
def test_equals_scikit_learn(rows: Tensor, share: float, quantile: float) -> None:
    distances = pairwise_euclidean(rows)
    mins = max(2, round(share * len(rows)))
    eps = float(np.around(np.quantile(distances.numpy(), quantile), decimals=15))
    assert_equals_scikit_learn(distances, mins, eps)


def assert_equals_scikit_learn(distances: Tensor, mins: int, eps: float) -> None:
    oracle = OPTICS(
        min_samples=mins, metric="precomputed", cluster_method="dbscan", eps=eps
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of infinite reachability ratios
        oracle.fit(distances.numpy())
    graph = optics(distances, mins)
    assert graph.ordering.tolist() == oracle.ordering_.tolist()
    np.testing.assert_array_equal(graph.core_distances.numpy(), oracle.core_distances_)
    np.testing.assert_array_equal(graph.reachability.numpy(), oracle.reachability_)
    assert dbscan_labels(graph, eps).tolist() == oracle.labels_.tolist()


@pytest.mark.parametrize("kind", ["two groups", "duplicates", "ties"])
def test_equals_scikit_learn_for_many(kind: str) -> None:
    distances = pairwise_euclidean(make_matrix(1, 300, kind)[:, :12])
    eps = float(np.around(np.quantile(distances.numpy(), 0.3), decimals=15))
    assert_equals_scikit_learn(distances, 7, eps)
    assert_equals_scikit_learn(distances, 151, eps)


@given(rows=matrices(), seed=st.integers(0, 1000), exponent=st.integers(-3, 3))
def test_walking_in_an_order_is_permuting_first(
    rows: Tensor, seed: int, exponent: int
) -> None:
    distances = pairwise_euclidean(rows)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    mins, scale = len(rows) // 2, 2.0**exponent
    core = core_distances(distances, mins, scale)
    graph = walk(distances, core, order, scale)
    permuted = optics((distances / scale)[order][:, order], mins)
    assert graph.ordering.equal(order[permuted.ordering])
    assert graph.core_distances[order].equal(permuted.core_distances)
    assert graph.reachability[order].equal(permuted.reachability)


@given(rows=matrices(), block=st.integers(1, 300), data=st.data())
def test_blocks_of_rows_change_nothing(
    rows: Tensor, block: int, data: st.DataObject
) -> None:
    distances = pairwise_euclidean(rows)
    k = data.draw(st.integers(1, len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optics_module, "BLOCK", block)
        found = kth_of_rows(distances, k)
    assert found.equal(distances.kthvalue(k, dim=1).values)


@given(rows=matrices())
def test_core_distance_is_a_row_order_statistic(rows: Tensor) -> None:
    distances = pairwise_euclidean(rows)
    mins = len(rows) // 2
    expected = distances.sort(dim=1).values[:, mins - 1]
    torch.testing.assert_close(
        core_distances(distances, mins), expected, rtol=1e-15, atol=1e-15
    )


@pytest.mark.parametrize("mins", [0, 5])
def test_min_samples_out_of_range(mins: int) -> None:
    with pytest.raises(ValueError, match=f"1 <= min_samples <= 4 points, got {mins}"):
        optics(pairwise_euclidean(LINE), mins)


def test_unreachable_points_are_walked_in_order_of_their_rows() -> None:
    distances = torch.full((4, 4), torch.inf, dtype=torch.float64).fill_diagonal_(0)
    graph = optics(distances, min_samples=2)
    assert graph.ordering.tolist() == [0, 1, 2, 3]
    assert dbscan_labels(graph, eps=1.0).tolist() == [-1] * 4
