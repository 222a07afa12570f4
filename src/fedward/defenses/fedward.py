"""Fedward: amplify, cluster, clip, average.

Chen et al., *Fedward: Flexible Federated Backdoor Defense Framework with Non-IID Data*,
ICME 2023, algorithm 1. The readings of its ambiguous lines are in ``docs/paper.md``; each
is an option here and the default is the paper's.

Deviations: the server computes AmGrad itself, since a client's own vector would be
forgeable (algorithm 1, line 7), and the mean is added to the global model (line 18 omits
it).
"""

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Float64
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.screening import screened
from fedward.ops.amgrad import amgrad_distances
from fedward.ops.auto_optics import EpsRule, Group, auto_optics, densest
from fedward.ops.clipping import ClipRule, clip_bound, clip_factors
from fedward.ops.clusters import dbscan_group, everybody, hdbscan_group
from fedward.ops.distances import pairwise_euclidean, row_norms
from fedward.ops.group_distances import mean_distances_to
from fedward.ops.means import weighted_sum
from fedward.ops.sign_sum import sign_sum
from fedward.ops.signatures import distances, signatures
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT

Cluster = Literal["optics", "dbscan", "hdbscan", "none"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Fedward:
    """The paper's defence (algorithm 1).

    Attributes:
        amgrad: ``dense`` is equation 3; ``ternary`` zeroes small entries first, as the
            authors' code does; ``off`` clusters the raw updates.
        eps: reading of algorithm 2, line 4.
        cluster: ``optics`` is AutoOPTICS; ``dbscan`` and ``hdbscan`` stand in its place for
            the comparison of section IV.C; ``none`` accepts everybody.
        clip: reading of algorithm 1, line 13; ``authors`` replaces clipping and mean by the
            sum of signs in the authors' code.
        no_cluster: when no group is found, ``hold`` keeps the model, ``core`` accepts the
            densest client and its nearest others.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 4

    amgrad: Literal["dense", "ternary", "off"] = "dense"
    eps: EpsRule = "nearest-others"
    cluster: Cluster = "optics"
    clip: ClipRule | Literal["authors"] = "sorted"
    no_cluster: Literal["hold", "core"] = "hold"

    def __call__(self, round: Round) -> Aggregation:
        """Mean of the clipped updates of the majority group; shape (params,)."""
        return self._decide(self._signed(round))

    @screened
    def _decide(self, round: Round) -> Aggregation:
        """On a round whose signatures, if any, are of this defence's sparsity."""
        signed = round.signatures
        gaps = self._distances(round)
        group = self._group(round.updates, gaps)
        members, reason = group.members, "in the majority group"
        norms = row_norms(round.updates) if signed is None else signed.norms
        if not members.any():
            if self.no_cluster == "hold":
                verdicts = group_verdicts(members, "", norms, None, gaps, group)
                return hold(round, "no majority group was found", verdicts)
            members = densest(round.updates, gaps, group.min_samples)
            reason = "no majority group was found; among the densest clients"
        if self.clip == "authors":
            update, bound = sign_sum(round.updates, members)
            factors = None
        else:
            bound = clip_bound(norms, int(members.sum()), self.clip)
            factors = clip_factors(norms, bound)
            update = weighted_sum(round.updates, factors * members / members.sum())
        facts = {"eps": group.eps, "bound": bound, "min_samples": float(group.min_samples)}
        return Aggregation(
            update=update,
            verdicts=group_verdicts(members, reason, norms, factors, gaps, group),
            facts={name: value for name, value in facts.items() if value < torch.inf},
        )

    def _signed(self, round: Round) -> Round:
        """With the signatures that this defence needs, made here if they are not there."""
        ready = None if round.signatures is None else round.signatures.sparsity
        if self.amgrad == ready:
            return round
        # An accelerator multiplies matrices faster than it counts bits.
        if self.amgrad == "off" or round.updates.device.type != "cpu":
            return replace(round, signatures=None)
        made = signatures(round.updates, round.layout, self.amgrad)
        return replace(round, signatures=made)

    def _distances(self, round: Round) -> Float64[Tensor, "clients clients"]:
        """Algorithm 2, line 2, on the vectors of equation 3."""
        if self.amgrad == "off":
            return pairwise_euclidean(round.updates)
        if round.signatures is None:
            return amgrad_distances(round.updates, round.layout, self.amgrad)
        return distances(round.signatures, round.layout)

    def _group(
        self,
        updates: Float[Tensor, "clients params"],
        distances: Float64[Tensor, "clients clients"],
    ) -> Group:
        """Algorithm 1, line 10."""
        if self.cluster == "optics":
            return auto_optics(updates, distances, self.eps)
        if self.cluster == "dbscan":
            return dbscan_group(distances, self.eps)
        if self.cluster == "hdbscan":
            return hdbscan_group(distances)
        return everybody(len(updates))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedwardAuthors:
    """The authors' public code, which is not the paper: see ``docs/paper.md``.

    Ternary AmGrad, ``min_samples`` m // 2, and sign x min(mean magnitude, its median over
    the clients), summed, in place of clipping and mean.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 4

    def __call__(self, round: Round) -> Aggregation:
        """Sum over the majority group; shape (params,)."""
        return Fedward(amgrad="ternary", eps="authors", clip="authors")(round)


def group_verdicts(
    members: Bool[Tensor, " clients"],
    reason: str,
    norms: Float64[Tensor, " clients"],
    factors: Float64[Tensor, " clients"] | None,
    gaps: Float64[Tensor, "clients clients"],
    group: Group,
) -> tuple[Verdict, ...]:
    """One verdict a row; distances are to the accepted others."""
    means = mean_distances_to(gaps, members)
    lengths, inside = norms.tolist(), members.tolist()
    shares = None if factors is None else factors.tolist()
    graph = group.graph
    cores = None if graph is None else graph.core_distances.tolist()
    reach = None if graph is None else graph.reachability.tolist()
    positions = None if graph is None else graph.ordering.argsort().tolist()

    def verdict(row: int) -> Verdict:
        accepted = inside[row]
        return Verdict(
            accepted=accepted,
            reason=reason if accepted else "outside the majority group",
            norm=lengths[row],
            factor=shares[row] if accepted and shares is not None else None,
            distance=_finite(means[row]),
            core_distance=None if cores is None else _finite(cores[row]),
            reachability=None if reach is None else _finite(reach[row]),
            position=None if positions is None else positions[row],
        )

    return tuple(verdict(row) for row in range(len(inside)))


def _finite(value: float | None) -> float | None:
    """A number, or None where it is undefined."""
    return None if value is None or not math.isfinite(value) else value
