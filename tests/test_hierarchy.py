from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from fedward.defenses.fedward import Fedward
from fedward.edge_reports import EdgeReport, edge_report
from fedward.hierarchy import (
    Decision,
    EdgeOrder,
    central_decision,
    combine,
    edge_partial_sum,
)
from fedward.layout import Layout
from fedward.protocol import Aggregation, Round
from tests.ops.matrices import LAYERS, make_matrix, matrices

DEFENSES = (
    Fedward(),
    Fedward(eps="kth", clip="median"),
    Fedward(amgrad="ternary", eps="authors", clip="none"),
    Fedward(no_cluster="core", clip="unsorted"),
)


def flat(updates: Tensor, defense: Fedward, layout: Layout = LAYERS) -> Aggregation:
    return defense(
        Round(
            updates,
            torch.ones(len(updates)),
            torch.zeros(updates.shape[1]),
            layout,
            torch.arange(len(updates)),
            0,
            torch.Generator(),
        )
    )


def reports_of(
    edges: list[Tensor], defense: Fedward, layout: Layout = LAYERS
) -> list[EdgeReport]:
    assert defense.amgrad != "off"
    starts = [sum(map(len, edges[:edge])) for edge in range(len(edges))]
    return [
        edge_report(rows, start + torch.arange(len(rows)), layout, defense.amgrad)
        for rows, start in zip(edges, starts, strict=True)
    ]


def split(updates: Tensor, cuts: list[int]) -> list[Tensor]:
    """At least one row an edge."""
    inner = sorted({cut for cut in cuts if 0 < cut < len(updates)})
    return list(torch.tensor_split(updates, inner))


@given(
    updates=matrices(),
    cuts=st.lists(st.integers(1, 40), max_size=6),
    defense=st.sampled_from(DEFENSES),
    broken=st.booleans(),
)
def test_two_levels_decide_as_one(
    updates: Tensor, cuts: list[int], defense: Fedward, broken: bool
) -> None:
    if broken:
        updates[len(updates) // 3, 5] = torch.nan
    edges = split(updates, cuts)
    decision = central_decision(reports_of(edges, defense), LAYERS, defense)
    expected = flat(updates, defense)
    assert sum((order.verdicts for order in decision.orders), ()) == expected.verdicts
    assert decision.held == expected.held
    assert decision.facts == expected.facts
    partials = [
        edge_partial_sum(rows, order)
        for rows, order in zip(edges, decision.orders, strict=True)
    ]
    combined = combine(partials, decision, LAYERS)
    assert set(combined.factors) == {1.0}
    size = float(updates[updates.isfinite().all(dim=1)].abs().max())
    torch.testing.assert_close(
        combined.update, expected.update, rtol=1e-6, atol=2e-7 * size
    )


def test_worked_case() -> None:
    """Three honest clients at edge 0, two at edge 1, of norms 1 to 5; the bound is 4.

    All signs agree with row 0 but those of the attacker, who is the longest but for one.
    """
    layout = Layout(("a",), ((4,),))
    honest = torch.tensor([0.5, -0.5, 0.5, -0.5])
    rows = torch.stack([honest, 2 * honest, 3 * honest, 5 * honest, -4 * honest])
    edges, defense = [rows[:3], rows[3:]], Fedward()
    decision = central_decision(reports_of(edges, defense, layout), layout, defense)
    accepted = [verdict.accepted for order in decision.orders for verdict in order.verdicts]
    norms = sorted(float(row.norm()) for row in rows)
    bound = norms[sum(accepted) - 1]
    assert accepted[4] is False
    assert decision.facts["bound"] == bound
    shares = torch.cat([order.weights for order in decision.orders])
    lengths = rows.norm(dim=1).double()
    expected = torch.tensor(accepted) * (bound / lengths).clamp(max=1) / sum(accepted)
    torch.testing.assert_close(shares, expected)
    for order, edge in zip(decision.orders, edges, strict=True):
        assert order.limit == pytest.approx(
            float(order.weights @ edge.norm(dim=1).double())
        )


TWO = Layout.flat(2)


def order_with(limit: float) -> EdgeOrder:
    return EdgeOrder(torch.zeros(0, dtype=torch.float64), limit, ())


def test_a_lying_edge_moves_the_model_no_farther_than_its_limit() -> None:
    sums = [torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])]
    decision = Decision((order_with(5.0), order_with(0.25), order_with(0.0)))
    combined = combine(sums, decision, TWO)
    assert combined.factors == pytest.approx((1.0, 0.25, 0.0))
    assert combined.update.tolist() == [3.25, 4.0]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_sum_that_is_not_a_number_is_left_out(bad: float) -> None:
    decision = Decision((order_with(1.0), order_with(1.0)))
    sums = [torch.tensor([bad, 0.0]), torch.tensor([0.0, 1.0])]
    combined = combine(sums, decision, TWO)
    assert combined.factors == (0.0, 1.0)
    assert combined.update.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "odd",
    [
        torch.tensor([0.5]),  # would be spread over all parameters
        torch.tensor(0.5),
        torch.zeros(3),
        torch.zeros(1, 2),
        torch.tensor([1, 0]),
        torch.tensor([1j, 0]),
        None,
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_sum_is_left_out(odd: Tensor | None, place: int) -> None:
    good = torch.tensor([0.0, 1.0], dtype=torch.float64)
    sums: list[Tensor | None] = [good, good]
    sums[place] = odd
    combined = combine(sums, Decision((order_with(1.0), order_with(1.0))), TWO)
    assert combined.factors[place] == 0.0
    assert combined.update.tolist() == [0.0, 1.0]
    assert combined.update.dtype == torch.float64


@given(seed=st.integers(0, 100), lie=st.floats(0, 1e6))
def test_what_a_lying_edge_adds_is_at_most_its_accepted_clients_times_the_bound(
    seed: int, lie: float
) -> None:
    updates = make_matrix(seed, 12, "plain")
    edges, defense = [updates[:8], updates[8:]], Fedward(eps="kth")
    decision = central_decision(reports_of(edges, defense), LAYERS, defense)
    honest = edge_partial_sum(edges[0], decision.orders[0])
    combined = combine([honest, torch.full_like(honest, lie)], decision, LAYERS)
    accepted = [[v.accepted for v in order.verdicts] for order in decision.orders]
    most = decision.facts["bound"] * sum(accepted[1]) / sum(map(sum, accepted))
    assert (combined.update - honest).norm() <= most * (1 + 1e-4)


def test_what_signatures_cannot_decide_is_refused() -> None:
    reports = reports_of([make_matrix(0, 6, "plain")], Fedward())
    for defense, message in (
        (Fedward(cluster="hdbscan"), "got cluster 'hdbscan'"),
        (Fedward(amgrad="off"), "amgrad 'off'"),
    ):
        with pytest.raises(ValueError, match=message):
            central_decision(reports, LAYERS, defense)
    with pytest.raises(ValueError, match="no signature holds"):
        central_decision(reports, LAYERS, Fedward(eps="kth", clip="authors"))
    with pytest.raises(ValueError, match="at least one report"):
        central_decision([], LAYERS, Fedward())
    with pytest.raises(ValueError, match="orders for 1 edges, got 0 sums"):
        combine([], Decision((order_with(0.0),)), LAYERS)


def test_a_forged_signature_is_a_lying_client_and_no_more() -> None:
    """An edge that forges its clients' signatures decides about its own clients alone."""
    updates = make_matrix(3, 12, "plain")
    edges, defense = [updates[:9], updates[9:]], Fedward(eps="kth")
    honest = reports_of(edges, defense)
    forged = replace(
        honest[1],
        signatures=honest[0].signatures.of(torch.arange(9) < 3),
        openings=honest[0].openings[:3],
    )
    decision = central_decision([honest[0], forged], LAYERS, defense)
    alike = flat(torch.cat([updates[:9], updates[:3]]), defense)
    assert sum((order.verdicts for order in decision.orders), ()) == alike.verdicts
