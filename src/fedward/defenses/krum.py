"""Krum and Multi-Krum: the clients with the closest neighbours.

Blanchard et al., *Machine learning with adversaries: Byzantine tolerant gradient descent*,
NeurIPS 2017, https://papers.nips.cc/paper/6617.

A client's score is the sum of the squared distances to its n - f - 2 nearest **others**,
of n clients of which f are assumed malicious; implementations that count the client itself
or sum n - f - 1 compute something else. The paper's guarantee needs 2f + 2 < n; with less
the rule is still defined as long as there is one neighbour.
"""

from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.screening import screened
from fedward.ops.distances import row_norms
from fedward.ops.gram import squared_distances
from fedward.ops.group_distances import mean_distances_to
from fedward.ops.means import weighted_sum
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT


def krum_scores(
    squares: Float64[Tensor, "clients clients"], neighbours: int
) -> Float64[Tensor, " clients"]:
    """Sum of every row's ``neighbours`` smallest squared distances to others."""
    others = squares.clone().fill_diagonal_(torch.inf)
    return others.sort(dim=1).values[:, :neighbours].sum(dim=1)


def by_score(
    scores: Float64[Tensor, " clients"], squares: Float64[Tensor, "clients clients"]
) -> Int64[Tensor, " clients"]:
    """Rows by score; of equal ones by their distances to all others, the nearest first.

    With one neighbour, mutual nearest rows have equal scores. Those whose distances to all
    others agree as well keep their order: duplicates and mirror images.
    """
    profiles = squares.sort(dim=1).values.numpy()
    return torch.from_numpy(np.lexsort((*profiles.T[::-1], scores.numpy())))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Krum:
    """The one update with the smallest score.

    Attributes:
        malicious: how many clients are assumed to be; by default the largest minority,
            (n - 1) // 2.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 4

    malicious: int | None = Field(default=None, ge=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """The chosen row; shape (params,)."""
        return _select(round, type(self).__name__, self.malicious, 1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MultiKrum:
    """Mean of the updates with the smallest scores.

    Attributes:
        malicious: how many clients are assumed to be; by default the largest minority,
            (n - 1) // 2.
        select: how many updates are averaged; by default all that are not malicious, n - f.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 4

    malicious: int | None = Field(default=None, ge=0)
    select: int | None = Field(default=None, ge=1)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the chosen rows, unweighted; shape (params,)."""
        return _select(round, type(self).__name__, self.malicious, self.select)


def _select(
    round: Round, name: str, malicious: int | None, select: int | None
) -> Aggregation:
    clients = len(round.updates)
    assumed = (clients - 1) // 2 if malicious is None else malicious
    neighbours = clients - assumed - 2
    wanted = clients - assumed if select is None else min(select, clients)
    if neighbours < 1:
        return hold(
            round,
            f"{name} needs at least malicious + 3 = {assumed + 3} clients, got {clients}",
        )
    squares = squared_distances(round.updates)
    scores = krum_scores(squares, neighbours)
    chosen = by_score(scores, squares)[:wanted]
    members = torch.zeros(clients, dtype=torch.bool)
    members[chosen] = True
    return Aggregation(
        update=weighted_sum(round.updates, members.double() / wanted),
        verdicts=_verdicts(members, squares.sqrt(), row_norms(round.updates)),
        facts={
            "malicious": float(assumed),
            "neighbours": float(neighbours),
            "cutoff": float(scores[chosen[-1]]),
        },
    )


def _verdicts(
    members: Bool[Tensor, " clients"],
    distances: Float64[Tensor, "clients clients"],
    norms: Float64[Tensor, " clients"],
) -> tuple[Verdict, ...]:
    gaps = mean_distances_to(distances, members)
    return tuple(
        Verdict(
            accepted=used,
            reason="among the smallest scores" if used else "its neighbours are too far",
            norm=norm,
            factor=1.0 if used else None,
            distance=gap,
        )
        for used, norm, gap in zip(members.tolist(), norms.tolist(), gaps, strict=True)
    )
