"""AFA, adaptive federated averaging: similarity within a round, reputation across rounds.

Muñoz-González, Co, Lupu, *Byzantine-robust federated machine learning through adaptive
model averaging*, 2019, algorithm 1, https://arxiv.org/abs/1909.05125.

Deviations: sample counts are not used as weights unless asked, because they are
self-reported; standard deviations are of the population.
"""

import math
from typing import ClassVar

import torch
from jaxtyping import Bool, Float64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.memory import recall, remember
from fedward.defenses.screening import screened
from fedward.ops.distances import row_norms
from fedward.ops.gram import gram
from fedward.ops.means import weighted_mean
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AFA:
    """Mean of the models that point the same way, by clients that have not been blocked.

    A client's reputation is Beta(alpha + rounds accepted, beta + rounds rejected); its
    expectation weights the client, and it is blocked for good once it is below one half
    with probability above ``block``. Memory: ``clients``, ``good``, ``bad``.

    Attributes:
        xi: standard deviations from the median within which a similarity must lie.
        xi_step: added to ``xi`` every time that somebody was thrown out.
        alpha: accepted rounds that a new client is credited with.
        beta: rejected rounds that a new client is charged with.
        block: the paper's delta.
        weighted: weight clients by the sample counts that they report, too.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 1

    xi: float = Field(default=2.0, gt=0)
    xi_step: float = Field(default=0.5, ge=0)
    alpha: int = Field(default=3, ge=1)
    beta: int = Field(default=3, ge=1)
    block: float = Field(default=0.95, gt=0, le=1)
    weighted: bool = False

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the good rows weighted by reputation; shape (params,)."""
        zero = torch.zeros((), dtype=torch.int64)
        good = recall(round.memory, "good", round.clients, zero)
        bad = recall(round.memory, "bad", round.clients, zero)
        alphas, betas = good + self.alpha, bad + self.beta
        doubts = [
            probability_below_half(a, b)
            for a, b in zip(alphas.tolist(), betas.tolist(), strict=True)
        ]
        blocked = torch.tensor([doubt > self.block for doubt in doubts])
        norms = row_norms(round.updates)
        if blocked.all():
            verdicts = _verdicts(~blocked, blocked, norms, norms)
            return hold(round, "every client of the round is blocked", verdicts)
        weights = alphas.double() / (alphas + betas)
        if self.weighted:
            weights *= round.weights.double().cpu()
        products = gram(round.updates, shift=round.params)
        members, tests = similar_models(products, weights, ~blocked, self.xi, self.xi_step)
        if not weights[members].any():
            # No mean is left that anybody could be like, so no reputation changes.
            reason = "everybody who is left reported 0 samples"
            verdicts = _verdicts(members, blocked, norms, norms, held=reason)
            return hold(round, reason, verdicts)
        shares = weights * members / weights[members].sum()
        memory = remember(
            round.memory,
            round.clients,
            good=good + members,
            bad=bad + (~members & ~blocked),
        )
        return Aggregation(
            update=weighted_mean(round.updates, shares),
            verdicts=_verdicts(members, blocked, norms, shares * members.sum()),
            facts={"tests": float(tests), "blocked": float(blocked.sum())},
            memory=memory,
        )


def similar_models(
    products: Float64[Tensor, "clients clients"],
    weights: Float64[Tensor, " clients"],
    candidates: Bool[Tensor, " clients"],
    xi: float,
    xi_step: float,
) -> tuple[Bool[Tensor, " clients"], int]:
    """Who is left when no similarity to the weighted mean sticks out, and the tests made.

    Similarities that stick out below are thrown out when the mean lies below the median,
    those that stick out above otherwise.
    """
    lengths = products.diagonal().sqrt()
    members = candidates.clone()
    tests = 0
    while True:
        tests += 1
        along = products @ (weights * members)
        length = (weights * members) @ along
        similarity = (along / (lengths * length.clamp(min=0).sqrt())).nan_to_num(0, 0, 0)
        inside = similarity[members]
        middle = float(inside.quantile(0.5))
        margin = xi * float(inside.std(correction=0))
        if float(inside.mean()) < middle:
            left = members & (similarity >= middle - margin)
        else:
            left = members & (similarity <= middle + margin)
        if left.equal(members):
            return members, tests
        members, xi = left, xi + xi_step


def probability_below_half(alpha: int, beta: int) -> float:
    """Of a Beta(alpha, beta) variable: its distribution function at one half.

    For whole numbers it is the probability of at least alpha heads in alpha + beta - 1
    throws of a fair coin.
    """
    throws = alpha + beta - 1
    heads = sum(math.comb(throws, k) for k in range(alpha, throws + 1))
    return float(heads / 2**throws)


def _verdicts(
    members: Bool[Tensor, " clients"],
    blocked: Bool[Tensor, " clients"],
    norms: Float64[Tensor, " clients"],
    factors: Float64[Tensor, " clients"],
    held: str | None = None,
) -> tuple[Verdict, ...]:
    def reason(left: bool, barred: bool) -> str:
        if barred:
            return "blocked: rejected in too many rounds"
        if not left:
            return "similarity sticks out"
        return held or "as similar to the mean as the others"

    columns = (members.tolist(), blocked.tolist(), norms.tolist(), factors.tolist())
    return tuple(
        Verdict(
            accepted=left and held is None,
            reason=reason(left, barred),
            norm=norm,
            factor=factor if left and held is None else None,
        )
        for left, barred, norm, factor in zip(*columns, strict=True)
    )
