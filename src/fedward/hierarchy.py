"""Past one server: edges keep the updates, the centre sees their signatures.

A round in four steps. Every edge sends the signatures of its clients' updates, a 32nd of
their size (`edge_report`). The centre clusters them and sets the clip bound
(`central_decision`). Every edge sums its accepted updates, clipped (`edge_partial_sum`).
The centre adds the sums up, none of them longer than its clients allow (`combine`).

With honest edges the verdicts are those of `fedward.defenses.fedward.Fedward` on all
updates in one place. ``docs/scale.md`` says what a lying edge can do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TypeGuard

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fedward.defenses.fedward import Fedward, group_verdicts
from fedward.edge_reports import EdgeReport, Heard, hear
from fedward.layout import Layout
from fedward.ops.auto_optics import auto_optics, densest
from fedward.ops.clipping import ClipRule, clip_bound, clip_factors
from fedward.ops.means import weighted_sum
from fedward.ops.signatures import distances, stack
from fedward.protocol import Signatures, Sparsity, Verdict

ROUNDING = 1e-5
"""By which share a sum in single precision may be longer than it should be."""


@dataclass(frozen=True)
class EdgeOrder:
    """What the centre answers an edge.

    Attributes:
        weights: what every row is multiplied by before the sum; 0 for a rejected one.
        limit: the longest that the sum can be if the norms in the report are true.
        verdicts: one a row.
    """

    weights: Float64[Tensor, " clients"]
    limit: float
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Decision:
    """What the centre decided.

    Attributes:
        orders: one a report, in the order of the reports.
        held: why the round was held and the model kept, or None.
        facts: ``eps``, ``bound`` and ``min_samples``, where finite.
    """

    orders: tuple[EdgeOrder, ...]
    held: str | None = None
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Combined:
    """The update of the global model, and what every edge's sum was multiplied by.

    Attributes:
        update: to be added to the global model; zero when the round is held.
        factors: 1 for a sum within its limit, less for a longer one, 0 for NaN or Inf.
    """

    update: Float[Tensor, " params"]
    factors: tuple[float, ...]


def central_decision(
    reports: Sequence[EdgeReport], layout: Layout, defense: Fedward
) -> Decision:
    """Whose updates are used and how much of them; algorithm 1, lines 10 to 13.

    Where the distances of two clients to everybody agree to the bit and so do the first
    `OPENING` entries of their updates, they are visited in the order of their signatures;
    with all updates in one place, in that of the updates.

    A report that does not fit the model, or says of a client what is true of no update, is
    not used; the verdicts say so.

    Raises:
        ValueError: if the settings need more than signatures, or there is no report.
    """
    sparsity = _sparsity(defense, reports)
    heard = [hear(report, layout, sparsity) for report in reports]
    signed = stack([report.signatures for report in heard], layout)
    nothing = torch.zeros_like(signed.norms)
    if len(signed) < defense.needs:
        name = type(defense).__name__
        reason = f"{name} needs at least {defense.needs} usable updates, got {len(signed)}"
        waiting = (Verdict(accepted=False, reason=reason),) * len(signed)
        return _decision(heard, signed, nothing, waiting, reason)
    content = _Content(torch.cat([report.openings for report in heard]), signed)
    gaps = distances(signed, layout)
    group = auto_optics(content, gaps, defense.eps)
    members, reason = group.members, "in the majority group"
    if not members.any():
        if defense.no_cluster == "hold":
            verdicts = group_verdicts(members, "", signed.norms, None, gaps, group)
            why = "no majority group was found"
            return _decision(heard, signed, nothing, verdicts, why)
        members = densest(content, gaps, group.min_samples)
        reason = "no majority group was found; among the densest clients"
    bound = clip_bound(signed.norms, int(members.sum()), _bounded(defense))
    factors = clip_factors(signed.norms, bound)
    weights = factors * members / members.sum()
    verdicts = group_verdicts(members, reason, signed.norms, factors, gaps, group)
    facts = {"eps": group.eps, "bound": bound, "min_samples": float(group.min_samples)}
    finite = {name: value for name, value in facts.items() if value < torch.inf}
    return _decision(heard, signed, weights, verdicts, None, finite)


def _sparsity(defense: Fedward, reports: Sequence[EdgeReport]) -> Sparsity:
    """Of the signatures that the settings need; raises if signatures are not enough."""
    if not reports:
        raise ValueError("a decision needs at least one report")
    if defense.cluster != "optics" or defense.amgrad == "off":
        raise ValueError(
            "signatures decide for cluster 'optics' on amplified updates, "
            f"got cluster {defense.cluster!r} and amgrad {defense.amgrad!r}"
        )
    return defense.amgrad


def _bounded(defense: Fedward) -> ClipRule:
    """The rule for the clip bound."""
    if defense.clip == "authors":
        raise ValueError("clip 'authors' needs magnitudes that no signature holds")
    return defense.clip


def edge_partial_sum(
    updates: Float[Tensor, "clients params"], order: EdgeOrder
) -> Float[Tensor, " params"]:
    """An edge's share of the mean; rejected rows are not read."""
    return weighted_sum(updates, order.weights)


def combine(
    partials: Sequence[Tensor | None], decision: Decision, layout: Layout
) -> Combined:
    """Sum of the edges' sums, each scaled down to its limit.

    A sum of clipped updates cannot be longer than their clipped norms together, so an edge
    that returns anything else moves the model no farther than its accepted clients could.
    What is no vector of the model's length and floating point is left out, as is None, the
    sum of an edge that did not answer.

    Raises:
        ValueError: if the sums are not as many as the orders, or there is none.
    """
    if not partials or len(partials) != len(decision.orders):
        raise ValueError(
            f"the decision has orders for {len(decision.orders)} edges, got "
            f"{len(partials)} sums"
        )
    update, dtype = torch.zeros(layout.params, dtype=torch.float64), torch.float32
    factors = []
    for partial, order in zip(partials, decision.orders, strict=True):
        factor = 0.0
        if _fits(partial, layout):
            dtype = torch.promote_types(dtype, partial.dtype)
            factor = _share_within(partial, order.limit)
        # One sum after the other; with a factor of zero they are not read.
        if partial is not None and factor > 0:
            update += factor * partial.double()
        factors.append(factor)
    return Combined(update.to(dtype), tuple(factors))


def _fits(partial: Tensor | None, layout: Layout) -> TypeGuard[Tensor]:
    return (
        partial is not None
        and partial.is_floating_point()
        and partial.shape == (layout.params,)
    )


def _share_within(partial: Float[Tensor, " params"], limit: float) -> float:
    """What makes a sum as long as it can be if the reports are true; 0 for NaN or Inf."""
    length = float(torch.linalg.vector_norm(partial, dtype=torch.float64))
    if length <= limit * (1 + ROUNDING):
        return 1.0
    return limit / length if length < torch.inf else 0.0


@dataclass(frozen=True)
class _Content:
    """What the centre knows of a row, for ties."""

    openings: Float[Tensor, "clients entries"]
    signed: Signatures

    def __getitem__(self, row: int) -> Float64[Tensor, " content"]:
        parts = [self.openings[row], self.signed.maxima[row], self.signed.negative[row]]
        if self.signed.present is not None:
            parts.append(self.signed.present[row])
        return torch.cat([part.double() for part in parts])


def _decision(
    heard: Sequence[Heard],
    signed: Signatures,
    weights: Float64[Tensor, " usable"],
    verdicts: tuple[Verdict, ...],
    held: str | None,
    facts: Mapping[str, float] | None = None,
) -> Decision:
    """Everybody's part of what was decided for all usable rows."""
    counts = [len(report.signatures) for report in heard]
    orders = []
    for report, (start, end) in zip(
        heard, pairwise(accumulate(counts, initial=0)), strict=True
    ):
        shares = torch.zeros(len(report.faults), dtype=torch.float64)
        shares[[fault is None for fault in report.faults]] = weights[start:end]
        limit = float((weights[start:end] * signed.norms[start:end]).sum())
        mine = iter(verdicts[start:end])
        rows = tuple(fault or next(mine) for fault in report.faults)
        orders.append(EdgeOrder(shares, limit, rows))
    return Decision(tuple(orders), held, facts or {})
