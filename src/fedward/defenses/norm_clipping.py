"""Norm clipping, and weak differential privacy: norm clipping with noise.

Sun et al., *Can you really backdoor federated learning?*, 2019,
https://arxiv.org/abs/1911.07963, section 4. The bounds and the noise are those of Wang et
al., *Attack of the tails*, NeurIPS 2020, https://arxiv.org/abs/2007.05084, for CIFAR-10:
2 and 0.025. The noise of 0.025 an entry has a norm of 16 for a model of 431,080 parameters,
more than such a model's own at the start; scale it to the model.
"""

from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from fedward.defenses.screening import screened
from fedward.ops.clipping import clip_factors
from fedward.ops.distances import row_norms
from fedward.ops.means import weighted_sum
from fedward.ops.noise import gaussian
from fedward.protocol import Aggregation, Round, Verdict
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NormClipping:
    """Mean of the updates, each scaled down to at most a fixed norm.

    Attributes:
        bound: the largest L2 norm of an update.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    bound: float = Field(default=2.0, gt=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of row / max(1, norm / bound), unweighted; shape (params,)."""
        return clipped_mean(round, self.bound)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WeakDP:
    """Norm clipping, then Gaussian noise: too little of it to promise privacy.

    Attributes:
        bound: the largest L2 norm of an update.
        sigma: standard deviation of the noise in every entry of the mean.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    bound: float = Field(default=2.0, gt=0)
    sigma: float = Field(default=0.025, ge=0)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Clipped mean plus noise; shape (params,)."""
        return clipped_mean(round, self.bound, self.sigma)


def clipped_mean(round: Round, bound: float, sigma: float = 0.0) -> Aggregation:
    """Mean of the rows clipped to ``bound``, plus N(0, sigma^2) in every entry."""
    norms = row_norms(round.updates)
    factors = clip_factors(norms, bound)
    update = weighted_sum(round.updates, factors / len(factors))
    update += gaussian(update, sigma, round.generator)
    return Aggregation(
        update=update,
        verdicts=tuple(
            Verdict(
                accepted=True,
                reason="within the bound" if factor == 1 else "scaled down to the bound",
                norm=norm,
                factor=factor,
            )
            for norm, factor in zip(norms.tolist(), factors.tolist(), strict=True)
        ),
        facts={"bound": bound, "sigma": sigma},
    )
