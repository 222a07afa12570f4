import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import DBSCAN, OPTICS
from torch import Tensor

from fedward.ops import auto_optics as auto_optics_module
from fedward.ops.auto_optics import (
    EpsRule,
    auto_optics,
    canonical_order,
    common_scale,
    densest,
    eps_for,
    majority_group,
    min_samples_for,
)
from fedward.ops.distances import pairwise_euclidean
from fedward.ops.optics import OpticsGraph, core_distances
from tests.ops.matrices import make_matrix, matrices

RULES: tuple[EpsRule, ...] = ("nearest-others", "kth", "authors")
rules = st.sampled_from(RULES)


@pytest.mark.parametrize(("clients", "mins"), [(4, 3), (5, 4), (10, 6), (11, 7), (40, 21)])
def test_min_samples_of_algorithm_2(clients: int, mins: int) -> None:
    assert min_samples_for(clients, "nearest-others") == mins
    assert min_samples_for(clients, "authors") == clients // 2


def test_eps_worked_case() -> None:
    """Points 0, 1, 3, 7 on a line: m = 4, mins = 3.

    Rows without self, ascending: 1 3 7 | 1 2 6 | 2 3 4 | 4 6 7. All twelve sorted:
    1 1 2 2 3 3 4 4 6 6 7 7, whose median is (3 + 4) / 2.
    kth: third with self is 3, 2, 3, 6; median 3. authors: entry 2 is the same here.
    """
    distances = pairwise_euclidean(torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    assert eps_for(distances, "nearest-others") == 3.5
    assert eps_for(distances, "kth") == 3.0
    assert eps_for(distances, "authors") == 3.0


def naive_eps(distances: Tensor, rule: EpsRule) -> float:
    rows, mins = distances.tolist(), -(-len(distances) // 2) + 1
    if rule == "nearest-others":
        values = [
            d for i, row in enumerate(rows) for d in sorted(row[:i] + row[i + 1 :])[:mins]
        ]
    elif rule == "kth":
        values = [sorted(row)[mins - 1] for row in rows]
    else:
        values = [sorted(row)[len(rows) // 2] for row in rows]
    return float(np.median(values))


@given(rows=matrices(), rule=rules)
def test_eps_equals_the_definition(rows: Tensor, rule: EpsRule) -> None:
    distances = pairwise_euclidean(rows)
    expected = naive_eps(distances, rule)
    assert eps_for(distances, rule) == pytest.approx(expected, rel=1e-14, abs=1e-15)


def power_of_two_above(distances: Tensor) -> float:
    """By the definition; the majority's own unit where somebody is very far from it."""
    largest = float(distances.max())
    if not largest:
        return 1.0
    rows = [sorted(row)[len(distances) // 2 - 1] for row in distances.tolist()]
    inside = sorted(rows)[(len(rows) - 1) // 2] or float(distances[distances > 0].min())
    units = [2.0 ** math.ceil(math.log2(distance)) for distance in (largest, inside)]
    return min(units[0], 2.0**20 * units[1])


@given(rows=matrices(), far=st.sampled_from([1.0, 1e3, 1e7, 1e20, 1e38]))
def test_the_unit_of_the_rounding_is_the_majoritys(rows: Tensor, far: float) -> None:
    rows = rows.double()
    rows[0] *= far
    distances = pairwise_euclidean(rows)
    scale = common_scale(distances)
    assert scale == power_of_two_above(distances)
    # Whoever is near to half of the others is told apart from them to nine digits.
    honest = distances[1:, 1:]
    inside = honest.sort(dim=1).values[:, len(distances) // 2 - 1].max()
    assert scale <= max(2.0**21 * inside, 2 * distances.max() if inside == 0 else 0)


@given(rows=matrices(), rule=rules)
def test_labels_equal_scikit_learn_in_the_canonical_order(
    rows: Tensor, rule: EpsRule
) -> None:
    distances = pairwise_euclidean(rows)
    group = auto_optics(rows, distances, rule)
    scale = power_of_two_above(distances)
    order = canonical_order(
        rows, distances, core_distances(distances, group.min_samples, scale)
    )
    oracle = OPTICS(
        min_samples=group.min_samples,
        metric="precomputed",
        cluster_method="dbscan",
        eps=group.eps / scale,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of infinite reachability ratios
        labels = oracle.fit((distances / scale)[order][:, order].numpy()).labels_
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    found = group.members[order].numpy()
    assert found.sum() == sizes.max()
    assert len(set(labels[found])) <= 1
    assert -1 not in labels[found]


@given(rows=matrices(), rule=rules)
def test_members_are_in_one_dbscan_cluster(rows: Tensor, rule: EpsRule) -> None:
    """OPTICS may drop border points of a DBSCAN cluster, never join two clusters."""
    distances = pairwise_euclidean(rows)
    group = auto_optics(rows, distances, rule)
    eps = max(group.eps, np.finfo(float).tiny) * (1 + 1e-12)  # rounding may have cut it
    dbscan = DBSCAN(eps=eps, min_samples=group.min_samples, metric="precomputed")
    labels = dbscan.fit_predict(distances.numpy())
    joined = set(labels[group.members.numpy()])
    assert len(joined) <= 1
    assert -1 not in joined


@given(rows=matrices(), rule=rules, seed=st.integers(0, 1000))
def test_permuting_clients_permutes_the_group(
    rows: Tensor, rule: EpsRule, seed: int
) -> None:
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    distances = pairwise_euclidean(rows)
    before = auto_optics(rows, distances, rule)
    after = auto_optics(rows[order], distances[order][:, order], rule)
    assert torch.equal(after.members, before.members[order])
    assert after.eps == before.eps


@given(rows=matrices(), rule=rules, exponent=st.integers(-60, 60))
def test_scale_changes_nothing(rows: Tensor, rule: EpsRule, exponent: int) -> None:
    distances = pairwise_euclidean(rows)
    before = auto_optics(rows, distances, rule)
    after = auto_optics(rows, distances * 2.0**exponent, rule)
    assert torch.equal(after.members, before.members)
    assert after.eps == before.eps * 2.0**exponent


@given(rows=matrices())
def test_kth_never_finds_nobody(rows: Tensor) -> None:
    """At least half of the clients are core points when eps is the median core distance."""
    assert auto_optics(rows, pairwise_euclidean(rows), "kth").members.any()


@pytest.mark.parametrize("rule", RULES)
def test_two_far_groups_of_six_and_four(rule: EpsRule) -> None:
    rows = torch.randn(10, 30, generator=torch.Generator().manual_seed(5))
    rows[:4] += 50
    group = auto_optics(rows, pairwise_euclidean(rows), rule)
    assert not group.members[:4].any()
    assert group.members.sum() >= 4


def test_the_jump_to_the_later_of_equal_clusters_counts_against_it() -> None:
    """Two of three: the later is tighter within, but was reached from afar."""
    graph = OpticsGraph(
        torch.arange(6),
        torch.tensor([2.0, 2.0, 2.0, 1.0, 1.0, 1.0], dtype=torch.float64),
        torch.tensor([np.inf, 2.0, 2.0, 9.0, 1.0, 1.0], dtype=torch.float64),
    )
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    # Means of the finite reachabilities: 2 for the first, (9 + 1 + 1) / 3 for the second.
    assert majority_group(labels, graph).tolist() == [True] * 3 + [False] * 3
    larger = torch.tensor([0, 0, -1, 1, 1, 1])
    assert majority_group(larger, graph).tolist() == [False] * 3 + [True] * 3
    assert not majority_group(torch.full((6,), -1), graph).any()


@pytest.mark.parametrize("denser", [0, 1])
def test_of_clusters_equal_in_that_too_the_one_with_the_densest_client_wins(
    denser: int,
) -> None:
    core = torch.full((6,), 2.0, dtype=torch.float64)
    core[3 * denser + 1] = 1
    reach = torch.tensor([np.inf, 2.0, 2.0, 2.0, 2.0, 2.0], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    found = majority_group(labels, OpticsGraph(torch.arange(6), core, reach))
    assert torch.equal(found, labels == denser)


def test_canonical_order_breaks_ties_by_content() -> None:
    """A square: all distances profiles are equal, so content decides (lexicographic)."""
    square = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    distances = pairwise_euclidean(square)
    order = canonical_order(square, distances, core_distances(distances, 3))
    assert order.tolist() == [3, 1, 2, 0]


def test_canonical_order_does_not_depend_on_the_profiles_that_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twelve corners of a lattice share every core distance and many profiles."""
    rows = torch.cartesian_prod(torch.arange(2.0), torch.arange(2.0), torch.arange(3.0))
    distances = pairwise_euclidean(rows)
    core = torch.zeros(len(rows), dtype=torch.float64)
    order = canonical_order(rows, distances, core)
    monkeypatch.setattr(auto_optics_module, "BLOCK", 1)
    assert canonical_order(rows, distances, core).equal(order)
    profiles = distances.sort(dim=1).values
    keys = [(profiles[row].tolist(), rows[row].tolist()) for row in order]
    assert keys == sorted(keys)


def test_densest_takes_the_core_and_its_nearest() -> None:
    rows = torch.tensor([[0.0], [1.0], [1.5], [9.0], [20.0]])
    distances = pairwise_euclidean(rows)
    # Third nearest with self: 1.5, 1, 1.5, 8, 18.5, so row 1 with rows 0 and 2.
    assert densest(rows, distances, 3).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("line", [[0.0, -1, 1, 9], [9.0, 1, -1, 0], [-1.0, 9, 1, 0]])
def test_densest_takes_all_that_are_as_near_as_the_last(line: list[float]) -> None:
    """Of -1, 0 and 1 the middle is the densest, and has two others at distance 1."""
    rows = torch.tensor(line)[:, None]
    taken = densest(rows, pairwise_euclidean(rows), 2)
    assert taken.tolist() == [place != 9 for place in line]


def test_needs_four_clients() -> None:
    rows = make_matrix(0, 3, "plain")
    with pytest.raises(ValueError, match="at least 4 clients, got 3"):
        auto_optics(rows, pairwise_euclidean(rows))
