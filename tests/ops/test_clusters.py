import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import DBSCAN
from torch import Tensor

from fedward.ops.auto_optics import EpsRule, common_scale, min_samples_for
from fedward.ops.clusters import dbscan_group, everybody, hdbscan_group
from fedward.ops.distances import pairwise_euclidean
from tests.ops.matrices import matrices


def two_groups() -> Tensor:
    rows = torch.randn(10, 30, generator=torch.Generator().manual_seed(5))
    rows[:4] += 50
    return rows


@given(rows=matrices())
def test_dbscan_members_are_core_points_and_their_neighbours(rows: Tensor) -> None:
    distances = pairwise_euclidean(rows)
    group = dbscan_group(distances)
    near = distances <= group.eps + 1e-15 * common_scale(distances)
    core = near.sum(dim=1) >= group.min_samples
    inside = group.members & core
    assert bool(inside.any()) == bool(core.any())
    # No core point outside is a neighbour of one inside, and every member has one.
    assert not near[inside][:, core & ~inside].any()
    assert near[group.members][:, inside].any(dim=1).all()


def naive_eps(distances: Tensor, rule: EpsRule) -> float:
    """Algorithm 2, line 4, on the distances as they are."""
    sorted_rows, mins = distances.sort(dim=1).values, min_samples_for(len(distances), rule)
    if rule == "nearest-others":
        return float(np.median(sorted_rows[:, 1 : mins + 1]))
    return float(np.median(sorted_rows[:, mins - 1 if rule == "kth" else mins]))


@pytest.mark.parametrize("rule", ["nearest-others", "kth", "authors"])
@given(seed=st.integers(0, 2**32 - 1), clients=st.integers(4, 14))
def test_dbscan_is_scikit_learns_at_the_exact_median(
    rule: EpsRule, seed: int, clients: int
) -> None:
    """The median often is one of the distances, whose two clients are neighbours."""
    rows = torch.randn(clients, 20, generator=torch.Generator().manual_seed(seed))
    distances = pairwise_euclidean(rows.double() / 10)
    eps, mins = naive_eps(distances, rule), min_samples_for(clients, rule)
    found = DBSCAN(eps=eps, min_samples=mins, metric="precomputed").fit_predict(distances)
    group = dbscan_group(distances, rule)
    assert group.members.tolist() == (found == 0).tolist()
    assert group.eps == pytest.approx(eps, rel=1e-12)


@given(rows=matrices(), power=st.integers(-60, 60))
def test_dbscan_does_not_depend_on_the_scale_of_the_updates(
    rows: Tensor, power: int
) -> None:
    distances = pairwise_euclidean(rows)
    scaled = dbscan_group(distances * 2.0**power)
    assert scaled.members.equal(dbscan_group(distances).members)


def smallest_majority_component(distances: Tensor) -> Tensor:
    """The component of more than half at the smallest threshold: HDBSCAN's closed form."""
    count = len(distances)
    for threshold in distances.flatten().sort().values:
        linked = distances <= threshold
        for _ in range(count.bit_length()):
            linked = linked.float() @ linked.float() > 0
        for row in linked:
            if int(row.sum()) > count // 2:
                return torch.as_tensor(row)
    raise AssertionError("unreachable: at the largest distance all are linked")


@given(rows=matrices())
def test_hdbscan_is_the_first_majority_component(rows: Tensor) -> None:
    distances = pairwise_euclidean(rows)
    expected = smallest_majority_component(distances)
    assert torch.equal(hdbscan_group(distances).members, expected)


def test_far_attackers_are_left_out_by_both() -> None:
    distances = pairwise_euclidean(two_groups())
    assert not dbscan_group(distances).members[:4].any()
    assert hdbscan_group(distances).members.tolist() == [False] * 4 + [True] * 6


def test_agreeing_clients_are_one_dbscan_cluster() -> None:
    assert dbscan_group(torch.zeros(5, 5, dtype=torch.float64)).members.all()


def test_everybody() -> None:
    assert everybody(3).members.tolist() == [True] * 3
