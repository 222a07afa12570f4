"""FoolsGold: clients whose histories are too alike are taken for sybils.

Fung, Yoon, Beschastnikh, *The limitations of federated learning in sybil settings*, RAID
2020, algorithm 1, https://arxiv.org/abs/1808.04866.

Deviations: the weighted updates are divided by the number of clients, as others do, where
the paper sums them into stochastic gradient descent; similarities are over the output
layer's weights without weighing features by importance; when everybody looks like a sybil
the round is held, where the formula divides zero by zero.
"""

from dataclasses import replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.layers import weight_matrix
from fedward.defenses.memory import recall, remember
from fedward.defenses.screening import screened
from fedward.ops.distances import row_norms
from fedward.ops.gram import cosines, gram
from fedward.ops.means import weighted_sum
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT

SAME = 1e-12
"""Histories whose cosine is closer to 1 differ by rounding only."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FoolsGold:
    """Updates weighted by how unlike a client's history is to everybody else's.

    Memory: ``clients`` and ``history``, the sum of each client's updates in the compared
    columns.

    Attributes:
        features: ``output`` compares the last weight matrix, ``all`` whole updates (and
            remembers as much as one update a client).
        confidence: the paper's kappa.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 1

    features: Literal["output", "all"] = "output"
    confidence: float = Field(default=1.0, gt=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of weight x row; shape (params,).

        Raises:
            ValueError: if the output layer is wanted and there is no weight matrix.
        """
        columns = slice(None)
        if self.features == "output":
            columns = round.layout.columns(weight_matrix(round.layout, from_end=0))
        recent = round.updates[:, columns]
        # A sum that overflows would be Inf for good, and with it everybody's similarity.
        largest = torch.finfo(recent.dtype).max
        history = recent + recall(
            round.memory, "history", round.clients, torch.zeros_like(recent[0])
        )
        history.clamp_(-largest, largest)
        weights = sybil_weights(cosines(gram(history)), self.confidence)
        norms = row_norms(round.updates).tolist()
        memory = remember(round.memory, round.clients, history=history)
        verdicts = tuple(
            Verdict(
                accepted=weight > 0,
                reason="weighted by how unlike its history is to the others'"
                if weight > 0
                else "its history is too much like another client's",
                norm=norm,
                factor=weight if weight > 0 else None,
            )
            for weight, norm in zip(weights.tolist(), norms, strict=True)
        )
        if not weights.any():
            held = hold(round, "all clients look like sybils of each other", verdicts)
            return replace(held, memory=memory)
        return Aggregation(
            update=weighted_sum(round.updates, weights / len(weights)),
            verdicts=verdicts,
            facts={"weight": float(weights.mean())},
            memory=memory,
        )


def sybil_weights(
    similarity: Float64[Tensor, "clients clients"], confidence: float
) -> Float64[Tensor, " clients"]:
    """Algorithm 1, lines 7 to 17: pardoning, rescaling and the logit, in [0, 1].

    All zero when everybody has a double. Similarities below zero count as zero.
    """
    others = similarity.clone().fill_diagonal_(0)
    closest = others.max(dim=1).values.clamp(min=0)
    # Pardoning: towards a client with a closer double, similarity counts for less.
    closer = closest[None, :] > closest[:, None]
    pardon = torch.where(closer, closest[:, None] / closest[None, :], 1.0)
    doubles = (others * pardon).max(dim=1).values.clamp(min=0)
    weights = 1 - doubles
    weights[weights <= SAME] = 0
    if not weights.any():
        return weights
    weights = (weights / weights.max()).clamp(max=0.99)
    return (confidence * (weights.logit() + 0.5)).clamp(0, 1)
