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

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from fedward.defenses.fedward import Fedward, group_verdicts
from fedward.defenses.screening import NOT_FINITE, finite_rows
from fedward.layout import Layout
from fedward.ops.auto_optics import auto_optics, densest
from fedward.ops.clipping import ClipRule, clip_bound, clip_factors
from fedward.ops.means import weighted_sum
from fedward.ops.signatures import distances, signatures, stack
from fedward.protocol import Signatures, Sparsity, Verdict, packed_sizes

ROUNDING = 1e-5
"""By which share a sum in single precision may be longer than it should be."""

OPENING = 64
"""Entries of an update that go with its signature."""


@dataclass(frozen=True)
class EdgeReport:
    """What an edge sends before the decision.

    Attributes:
        clients: identity of every row that the edge holds.
        usable: which rows hold neither NaN nor Inf.
        signatures: of the usable rows, in their order.
        openings: first entries of the usable rows. Of clients whose distances to everybody
            agree to the bit, they say who is visited first.
    """

    clients: Int64[Tensor, " clients"]
    usable: Bool[Tensor, " clients"]
    signatures: Signatures
    openings: Float[Tensor, "usable entries"]

    @property
    def nbytes(self) -> int:
        """Bytes of everything in it."""
        signed = self.signatures
        parts = [self.clients, self.usable, self.openings, signed.norms, signed.maxima]
        parts += [
            signed.kept,
            signed.negative,
            *([] if signed.present is None else [signed.present]),
        ]
        return sum(part.nbytes for part in parts)


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


def edge_report(
    updates: Float[Tensor, "clients params"],
    clients: Int64[Tensor, " clients"],
    layout: Layout,
    sparsity: Sparsity = "dense",
) -> EdgeReport:
    """What an edge sends of its clients' updates."""
    usable = finite_rows(updates)
    kept = updates if usable.all() else updates[usable]
    signed = signatures(kept, layout, sparsity)
    return EdgeReport(clients, usable, signed, kept[:, :OPENING].clone())


def report_bytes(layout: Layout, clients: int, zeros: bool = False) -> int:
    """Bytes of the report of ``clients`` usable updates in single precision.

    Args:
        zeros: whether an update holds a zero, or amplification is ternary: then a second
            bit an entry says where.
    """
    packed, layers = sum(packed_sizes(layout)), len(layout.names)
    opening = 4 * min(OPENING, layout.params)
    numbers = 8 + 8 + 1  # identity, norm, usable
    return clients * (packed * (1 + zeros) + 16 * layers + opening + numbers)


def central_decision(
    reports: Sequence[EdgeReport], layout: Layout, defense: Fedward
) -> Decision:
    """Whose updates are used and how much of them; algorithm 1, lines 10 to 13.

    Where the distances of two clients to everybody agree to the bit and so do the first
    `OPENING` entries of their updates, they are visited in the order of their signatures;
    with all updates in one place, in that of the updates.

    Raises:
        ValueError: if the settings need more than signatures, the reports are of another
            sparsity, or there is no report.
    """
    signed = _signatures_for(defense, reports, layout)
    nothing = torch.zeros_like(signed.norms)
    if len(signed) < defense.needs:
        name = type(defense).__name__
        reason = f"{name} needs at least {defense.needs} usable updates, got {len(signed)}"
        waiting = (Verdict(accepted=False, reason=reason),) * len(signed)
        return _decision(reports, signed, nothing, waiting, reason)
    content = _Content(torch.cat([report.openings for report in reports]), signed)
    gaps = distances(signed, layout)
    group = auto_optics(content, gaps, defense.eps)
    members, reason = group.members, "in the majority group"
    if not members.any():
        if defense.no_cluster == "hold":
            verdicts = group_verdicts(members, "", signed.norms, None, gaps, group)
            why = "no majority group was found"
            return _decision(reports, signed, nothing, verdicts, why)
        members = densest(content, gaps, group.min_samples)
        reason = "no majority group was found; among the densest clients"
    bound = clip_bound(signed.norms, int(members.sum()), _bounded(defense))
    factors = clip_factors(signed.norms, bound)
    weights = factors * members / members.sum()
    verdicts = group_verdicts(members, reason, signed.norms, factors, gaps, group)
    facts = {"eps": group.eps, "bound": bound, "min_samples": float(group.min_samples)}
    finite = {name: value for name, value in facts.items() if value < torch.inf}
    return _decision(reports, signed, weights, verdicts, None, finite)


def _signatures_for(
    defense: Fedward, reports: Sequence[EdgeReport], layout: Layout
) -> Signatures:
    """All signatures in one, if they are what the settings need."""
    if not reports:
        raise ValueError("a decision needs at least one report")
    if defense.cluster != "optics" or defense.amgrad == "off":
        raise ValueError(
            "signatures decide for cluster 'optics' on amplified updates, "
            f"got cluster {defense.cluster!r} and amgrad {defense.amgrad!r}"
        )
    signed = stack([report.signatures for report in reports], layout)
    if signed.sparsity != defense.amgrad:
        raise ValueError(
            f"amgrad {defense.amgrad!r} needs signatures of that sparsity, "
            f"got {signed.sparsity!r}"
        )
    return signed


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


def combine(partials: Sequence[Float[Tensor, " params"]], decision: Decision) -> Combined:
    """Sum of the edges' sums, each scaled down to its limit.

    A sum of clipped updates cannot be longer than their clipped norms together, so an edge
    that returns anything else moves the model no farther than its accepted clients could.

    Raises:
        ValueError: if the sums are not as many as the orders, or there is none.
    """
    if not partials or len(partials) != len(decision.orders):
        raise ValueError(
            f"the decision has orders for {len(decision.orders)} edges, got "
            f"{len(partials)} sums"
        )
    factors = []
    for partial, order in zip(partials, decision.orders, strict=True):
        length = float(torch.linalg.vector_norm(partial, dtype=torch.float64))
        within = length <= order.limit * (1 + ROUNDING)
        finite = length < torch.inf
        factors.append(1.0 if within else order.limit / length if finite else 0.0)
    # One row after the other: sums with a factor of zero are not read.
    update = torch.zeros_like(partials[0], dtype=torch.float64)
    for partial, factor in zip(partials, factors, strict=True):
        if factor > 0:
            update += factor * partial.double()
    return Combined(update.to(partials[0].dtype), tuple(factors))


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
    reports: Sequence[EdgeReport],
    signed: Signatures,
    weights: Float64[Tensor, " usable"],
    verdicts: tuple[Verdict, ...],
    held: str | None,
    facts: Mapping[str, float] | None = None,
) -> Decision:
    """Everybody's part of what was decided for all usable rows."""
    counts = [len(report.signatures) for report in reports]
    orders = []
    for report, (start, end) in zip(
        reports, pairwise(accumulate(counts, initial=0)), strict=True
    ):
        shares = torch.zeros(len(report.usable), dtype=torch.float64)
        shares[report.usable] = weights[start:end]
        limit = float((weights[start:end] * signed.norms[start:end]).sum())
        mine = iter(verdicts[start:end])
        rows = tuple(next(mine) if ok else NOT_FINITE for ok in report.usable.tolist())
        orders.append(EdgeOrder(shares, limit, rows))
    return Decision(tuple(orders), held, facts or {})
