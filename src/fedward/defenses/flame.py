"""FLAME: cluster local models by direction, clip to the median norm, add noise.

Nguyen et al., *FLAME: Taming backdoors in federated learning*, USENIX Security 2022,
algorithm 1, https://arxiv.org/abs/2101.02281. Directions are those of the full local
models, not of the updates. HDBSCAN's ``min_samples`` is 1, as in the public
re-implementations.
"""

from typing import ClassVar

import torch
from jaxtyping import Float64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.screening import screened
from fedward.ops.auto_optics import Group
from fedward.ops.clipping import clip_bound, clip_factors
from fedward.ops.clusters import hdbscan_group
from fedward.ops.distances import row_norms
from fedward.ops.gram import cosines, model_gram
from fedward.ops.group_distances import mean_distances_to
from fedward.ops.means import weighted_sum
from fedward.ops.noise import gaussian
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Flame:
    """The paper's defence.

    Attributes:
        noise: standard deviation of the noise as a multiple of the clipping bound (the
            paper's lambda for images and text).
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 3

    noise: float = Field(default=1e-3, ge=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the majority's clipped updates plus noise; shape (params,)."""
        norms = row_norms(round.updates)
        distances = model_distances(round, norms)
        return _aggregate(round, norms, distances, hdbscan_group(distances), self.noise)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FlameAuthors:
    """FLAME as in the Fedward authors' public code.

    HDBSCAN keeps its library's default ``min_samples`` (a majority) and has ``alpha`` 0.9;
    the noise is a tenth of the paper's.

    Attributes:
        noise: standard deviation of the noise as a multiple of the clipping bound.
        alpha: distances are divided by it before they are compared with core distances.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 3

    noise: float = Field(default=1e-4, ge=0)
    alpha: float = Field(default=0.9, gt=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the majority's clipped updates plus noise; shape (params,)."""
        norms = row_norms(round.updates)
        distances = model_distances(round, norms)
        group = hdbscan_group(mutual_reachability(distances, self.alpha))
        return _aggregate(round, norms, distances, group, self.noise)


def model_distances(
    round: Round, norms: Float64[Tensor, " clients"]
) -> Float64[Tensor, "clients clients"]:
    """Cosine distances of the local models, one minus the cosine, from updates' norms."""
    return 1 - cosines(model_gram(round.updates, round.params, norms))


def mutual_reachability(
    distances: Float64[Tensor, "clients clients"], alpha: float
) -> Float64[Tensor, "clients clients"]:
    """max(d_ij / alpha, core_i, core_j), zero on the diagonal.

    A core distance is that to the (m // 2 + 1)-th nearest other, as the hdbscan package
    counts. scikit-learn counts the point itself and divides core distances by alpha too,
    so that its ``alpha`` changes nothing for a precomputed matrix; hence not by it.
    """
    core = distances.sort(dim=1).values[:, len(distances) // 2 + 1]
    floor = torch.maximum(core[:, None], core)
    return torch.maximum(distances / alpha, floor).fill_diagonal_(0)


def _aggregate(
    round: Round,
    norms: Float64[Tensor, " clients"],
    distances: Float64[Tensor, "clients clients"],
    group: Group,
    noise: float,
) -> Aggregation:
    """Lines 8 to 14; the bound is the median norm of all clients, not of the accepted."""
    members = group.members
    bound = clip_bound(norms, len(norms), "median")
    factors = clip_factors(norms, bound)
    gaps = mean_distances_to(distances, members)
    verdicts = tuple(
        Verdict(
            accepted=used,
            reason="in the majority group" if used else "outside the majority group",
            norm=norm,
            factor=factor if used else None,
            distance=gap,
        )
        for used, norm, factor, gap in zip(
            members.tolist(), norms.tolist(), factors.tolist(), gaps, strict=True
        )
    )
    if not members.any():
        return hold(round, "no majority group was found", verdicts)
    update = weighted_sum(round.updates, factors * members / members.sum())
    update += gaussian(update, noise * bound, round.generator)
    return Aggregation(
        update=update, verdicts=verdicts, facts={"bound": bound, "sigma": noise * bound}
    )
