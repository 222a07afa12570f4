from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from fedward.defenses.fedward import Fedward
from fedward.defenses.screening import NOT_FINITE
from fedward.edge_reports import IMPOSSIBLE, EdgeReport, edge_report, hear, report_bytes
from fedward.hierarchy import central_decision
from fedward.layout import Layout
from fedward.protocol import Sparsity
from tests.ops.matrices import LAYERS, make_matrix, matrices

kinds = st.sampled_from(["dense", "ternary"])


@given(updates=matrices(fewest=1), sparsity=kinds)
def test_report_bytes_are_those_of_a_report(updates: Tensor, sparsity: Sparsity) -> None:
    report = edge_report(updates, torch.arange(len(updates)), LAYERS, sparsity)
    zeros = bool((updates == 0).any()) or sparsity == "ternary"
    assert report.nbytes == report_bytes(LAYERS, len(updates), zeros)


def test_a_report_is_a_32nd_of_the_updates() -> None:
    layout = Layout(("conv", "fc"), ((64, 300), (100, 1000)))
    assert report_bytes(layout, 3) < 3 * 4 * layout.params / 31
    assert report_bytes(layout, 3, zeros=True) < 3 * 4 * layout.params / 15


@given(updates=matrices(fewest=1), sparsity=kinds, double=st.booleans())
def test_what_an_honest_edge_says_is_believed(
    updates: Tensor, sparsity: Sparsity, double: bool
) -> None:
    updates[0, 3] = torch.inf
    rows = updates.double() if double else updates
    report = edge_report(rows, torch.arange(len(updates)), LAYERS, sparsity)
    heard = hear(report, LAYERS, sparsity)
    assert heard.faults == (NOT_FINITE, *[None] * (len(updates) - 1))
    assert heard.signatures.norms.equal(report.signatures.norms)
    assert heard.openings.equal(report.openings)


def forged(report: EdgeReport, **parts: Tensor) -> EdgeReport:
    """With other numbers in its second row."""
    signed = report.signatures
    own = {name: getattr(signed, name).clone() for name in parts}
    for name, value in parts.items():
        own[name][1] = value
    return replace(report, signatures=replace(signed, **own))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("norms", 1e30),
        ("norms", 1e-3),
        ("norms", -1.0),
        ("norms", torch.nan),
        ("norms", torch.inf),
        ("maxima", 1e30),
        ("maxima", 1e200),
        ("maxima", 0.0),
        ("maxima", -1.0),
        ("maxima", torch.nan),
        ("maxima", torch.inf),
        ("kept", 0),
        ("kept", 1000),
        ("kept", -5),
        ("negative", 255),  # bits where there is no entry
    ],
)
def test_what_no_update_has_is_not_believed(name: str, value: float) -> None:
    report = edge_report(make_matrix(1, 6, "plain"), torch.arange(6), LAYERS)
    heard = hear(forged(report, **{name: torch.tensor(value)}), LAYERS, "dense")
    assert heard.faults == (None, IMPOSSIBLE, None, None, None, None)
    assert len(heard.signatures) == len(heard.openings) == 5


@pytest.mark.parametrize(("name", "value"), [("maxima", 1e30), ("norms", torch.nan)])
def test_a_forgery_that_is_caught_changes_nothing_for_others(
    name: str, value: float
) -> None:
    updates, defense = make_matrix(3, 12, "two groups"), Fedward(eps="kth")
    honest = edge_report(updates[:9], torch.arange(9), LAYERS)
    other = edge_report(updates[9:], torch.arange(9, 12), LAYERS)
    lying = forged(other, **{name: torch.tensor(value)})
    decision = central_decision([honest, lying], LAYERS, defense)
    absent = edge_report(updates[[9, 11]], torch.tensor([9, 11]), LAYERS)
    without = central_decision([honest, absent], LAYERS, defense)
    assert decision.orders[0].verdicts == without.orders[0].verdicts
    assert decision.orders[1].verdicts[1] == IMPOSSIBLE
    assert decision.facts == without.facts


def spoiled(change: Callable[[EdgeReport], tuple[Any, str, Any]]) -> EdgeReport:
    """A report with a part that no honest program makes, past the checks of shapes."""
    report = edge_report(make_matrix(1, 6, "plain"), torch.arange(6), LAYERS)
    report = replace(report, signatures=replace(report.signatures))
    where, name, value = change(report)
    object.__setattr__(where, name, value)
    return report


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: (r, "usable", torch.ones(9, dtype=torch.bool)), "clients needs shape"),
        (lambda r: (r, "usable", torch.arange(6) < 5), "norms needs shape"),
        (lambda r: (r, "clients", torch.arange(5)), "clients needs shape"),
        (lambda r: (r, "openings", r.openings[:, :3]), "openings needs shape"),
        (lambda r: (r, "openings", r.openings.long()), "openings needs floating point"),
        (lambda r: (r.signatures, "maxima", r.signatures.maxima[:, :2]), "maxima needs"),
        (lambda r: (r.signatures, "negative", r.signatures.negative[:, 1:]), "signs needs"),
        (lambda r: (r.signatures, "kept", r.signatures.kept.double()), "kept needs"),
        (lambda r: (r.signatures, "present", torch.zeros(2)), "presence needs shape"),
        (lambda r: (r.signatures, "sparsity", "ternary"), "sparsity needs to be 'dense'"),
    ],
)
def test_a_report_that_does_not_fit_is_no_reason_to_stop(
    change: Callable[[EdgeReport], tuple[Any, str, Any]], reason: str
) -> None:
    report = spoiled(change)
    faults = hear(report, LAYERS, "dense").faults
    assert len(faults) == len(report.usable)
    assert all(fault is not None and reason in fault.reason for fault in faults)
    good = edge_report(make_matrix(2, 9, "plain"), torch.arange(9), LAYERS)
    decision = central_decision([report, good], LAYERS, Fedward(eps="kth"))
    alone = central_decision([good], LAYERS, Fedward(eps="kth"))
    assert decision.orders[0].limit == 0.0
    assert decision.orders[1].verdicts == alone.orders[0].verdicts
