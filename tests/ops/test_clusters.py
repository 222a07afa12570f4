import torch
from hypothesis import given
from torch import Tensor

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
    near = distances <= max(group.eps, torch.finfo(torch.float64).tiny)
    core = near.sum(dim=1) >= group.min_samples
    inside = group.members & core
    assert bool(inside.any()) == bool(core.any())
    # No core point outside is a neighbour of one inside, and every member has one.
    assert not near[inside][:, core & ~inside].any()
    assert near[group.members][:, inside].any(dim=1).all()


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
