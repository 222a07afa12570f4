"""CRFL: clip and perturb the global model; smooth and certify it at test time.

Xie, Chen, Chen, Li, *CRFL: Certifiably robust federated learning against backdoor attacks*,
ICML 2021, algorithms 1 and 2, https://arxiv.org/abs/2106.08283. The test-time part is in
`fedward.ops.smoothing`.

Deviations: the paper evaluates the clipped model of a round before its noise; here a round
has one model, noise included, unless it is the last of ``rounds``. The paper's schedules
suit logistic regression (MNIST: slope 0.1, offset 2, floor 0, cap 15) and would crush a
convolutional network, whose norm is about 14 at the start; so the radius never falls below
``floor``, as in the Fedward authors' code.
"""

from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from fedward.defenses.norm_clipping import clipped_mean
from fedward.defenses.screening import screened
from fedward.ops.clipping import clip_bound
from fedward.ops.distances import row_norms
from fedward.ops.means import weighted_sum
from fedward.ops.noise import gaussian
from fedward.protocol import Aggregation, Round, Verdict
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CRFL:
    """The paper's training: theta <- clip(theta + mean of updates, rho_t) + N(0, sigma^2).

    rho_t = max(floor, min(cap, slope t + offset)) with t from 1.

    Attributes:
        cap: None for none.
        sigma: standard deviation of the noise in every parameter.
        rounds: length of the training; its last round is clipped and gets no noise
            (algorithm 1, line 11). None: every round gets noise.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    slope: float = Field(default=0.1, ge=0)
    offset: float = Field(default=2.0, ge=0)
    floor: float = Field(default=15.0, ge=0)
    cap: float | None = Field(default=None, gt=0)
    sigma: float = Field(default=0.01, ge=0)
    rounds: int | None = Field(default=None, ge=1)

    def radius(self, index: int) -> float:
        """rho_t of the round with this index, which counts from 0."""
        radius = self.slope * (index + 1) + self.offset
        return max(self.floor, radius if self.cap is None else min(self.cap, radius))

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """New global model less the old one; shape (params,)."""
        norms = row_norms(round.updates)
        mean = weighted_sum(round.updates, norms.new_full(norms.shape, 1 / len(norms)))
        length = float(row_norms((round.params + mean)[None]))
        radius = self.radius(round.index)
        sigma = 0.0 if self.rounds == round.index + 1 else self.sigma
        factor = min(1.0, radius / length) if length else 1.0
        # factor (params + mean) - params, without the rounding of a difference of models.
        update = factor * mean + (factor - 1) * round.params
        update += gaussian(update, sigma, round.generator)
        return Aggregation(
            update=update.to(round.updates.dtype),
            verdicts=tuple(
                Verdict(
                    accepted=True,
                    reason="every update is used; the model is clipped instead",
                    norm=norm,
                    factor=1.0,
                )
                for norm in norms.tolist()
            ),
            facts={"bound": radius, "model_norm": length, "sigma": sigma},
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CRFLAuthors:
    """What the Fedward authors' public code runs under the name of CRFL.

    The updates are clipped to their median norm, averaged and perturbed: FLAME without its
    clustering. The global model is not clipped.

    Attributes:
        noise: standard deviation of the noise as a multiple of the clipping bound.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    noise: float = Field(default=1e-4, ge=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the clipped updates plus noise; shape (params,)."""
        norms = row_norms(round.updates)
        bound = clip_bound(norms, len(norms), "median")
        return clipped_mean(round, bound, self.noise * bound)
