"""FedCC: the clients whose second-to-last layer is alike to the global model's.

Jeong, Son, Lee, Hyun, Chung, *FedCC: Robust federated learning against model poisoning
attacks*, arXiv 2212.01976, https://arxiv.org/abs/2212.01976. The first version drops the
smaller cluster (`FedCC`); a later one drops it from that layer only and weights all clients
by similarity elsewhere (`FedCCLayerwise`).

Deviation: 2-means on a line is solved exactly, where the authors' depends on random starts;
of clusters of equal size the one more alike to the global model is taken, where theirs
takes the first label.
"""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float64
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.layers import weight_matrix
from fedward.defenses.screening import screened
from fedward.ops.cka import centred_rbf, cka
from fedward.ops.distances import row_norms
from fedward.ops.gram import squared_distances
from fedward.ops.group_distances import mean_distances_to
from fedward.ops.means import weighted_mean
from fedward.ops.two_means import two_means, two_means_1d
from fedward.protocol import Aggregation, Round, Verdict
from fedward.settings import STRICT

INDISTINCT = 1e-12
"""Similarities that differ by less are rounding of equal ones and are not split."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedCC:
    """Mean of the larger of two clusters of similarities (arXiv version 1).

    Attributes:
        layer: whose weights are compared; by default the second-to-last weight matrix.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 3

    layer: str | None = None

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the rows in the larger cluster, unweighted; shape (params,).

        Raises:
            ValueError: if the layout has no such layer, or no weight matrix.
        """
        name = self.layer or weight_matrix(round.layout, from_end=1)
        scores = similarities(round, name)
        members = larger_cluster(scores)
        return Aggregation(
            update=weighted_mean(round.updates, members.double()),
            verdicts=_verdicts(round, members, (scores[:, None] - scores).abs()),
            facts={"similarity": float(scores[members].mean())},
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedCCLayerwise:
    """All clients weighted by similarity, but one layer from the larger cluster alone.

    The weights are the softmax of the similarities; for the compared layer they are
    restricted to the larger cluster. Every update is used somewhere, so nobody counts as
    rejected.

    Attributes:
        layer: whose weights are compared; by default the second-to-last weight matrix.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 3

    layer: str | None = None

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Weighted mean, layer by layer; shape (params,).

        Raises:
            ValueError: if the layout has no such layer, or no weight matrix.
        """
        name = self.layer or weight_matrix(round.layout, from_end=1)
        scores = similarities(round, name)
        members = larger_cluster(scores)
        weights = scores.softmax(dim=0)
        update = weighted_mean(round.updates, weights)
        columns = round.layout.columns(name)
        update[columns] = weighted_mean(round.updates[:, columns], weights * members)
        norms = row_norms(round.updates).tolist()
        factors = (len(weights) * weights).tolist()
        return Aggregation(
            update=update,
            verdicts=tuple(
                Verdict(
                    accepted=True,
                    reason="used in every layer" if member else f"kept out of {name}",
                    norm=norm,
                    factor=factor,
                )
                for member, norm, factor in zip(
                    members.tolist(), norms, factors, strict=True
                )
            ),
            facts={"members": float(members.sum())},
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedCCAuthors:
    """FedCC as in the Fedward authors' public code, which is another method.

    2-means of the raw updates of the output layer, weight and bias; mean of the larger
    cluster. No kernel, and not the layer of the paper. Starts are not random here; of
    clusters of equal size the tighter one is taken.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 3

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the rows in the larger cluster, unweighted; shape (params,).

        Raises:
            ValueError: if the layout has no weight matrix.
        """
        output = round.layout.columns(weight_matrix(round.layout, from_end=0))
        squares = squared_distances(round.updates[:, output.start :])
        second = two_means(squares)
        spreads = [float(squares[side][:, side].sum()) for side in (second, ~second)]
        sizes = [int(second.sum()), int((~second).sum())]
        larger = (sizes[0], -spreads[0]) > (sizes[1], -spreads[1])
        members = second if larger else ~second
        return Aggregation(
            update=weighted_mean(round.updates, members.double()),
            verdicts=_verdicts(round, members, squares.sqrt()),
        )


def similarities(round: Round, layer: str) -> Float64[Tensor, " clients"]:
    """Kernel CKA of every local model's layer with the global model's."""
    columns = round.layout.columns(layer)
    shape = round.layout.shapes[round.layout.names.index(layer)]
    current = round.params[columns].view(shape[0], -1)
    reference = centred_rbf(current)
    scores = [
        cka(reference, centred_rbf(row[columns].view(shape[0], -1), current))
        for row in round.updates
    ]
    return torch.tensor(scores, dtype=torch.float64)


def larger_cluster(scores: Float64[Tensor, " clients"]) -> Bool[Tensor, " clients"]:
    """Members of the larger of two clusters; of equal ones, those with higher scores."""
    if float(scores.max() - scores.min()) <= INDISTINCT:
        return torch.ones_like(scores, dtype=torch.bool)
    upper = two_means_1d(scores)
    return upper if 2 * int(upper.sum()) >= len(upper) else ~upper


def _verdicts(
    round: Round,
    members: Bool[Tensor, " clients"],
    distances: Float64[Tensor, "clients clients"],
) -> tuple[Verdict, ...]:
    norms = row_norms(round.updates).tolist()
    gaps = mean_distances_to(distances, members)
    return tuple(
        Verdict(
            accepted=used,
            reason="in the larger cluster" if used else "in the smaller cluster",
            norm=norm,
            factor=1.0 if used else None,
            distance=gap,
        )
        for used, norm, gap in zip(members.tolist(), norms, gaps, strict=True)
    )
