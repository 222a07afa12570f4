"""CRFL's test time: predictions smoothed over noisy models, and their certified radius.

Xie, Chen, Chen, Li, *CRFL: Certifiably robust federated learning against backdoor attacks*,
ICML 2021, algorithm 2 and section 4, https://arxiv.org/abs/2106.08283. The certificate is
for (multi-class) logistic regression trained by `fedward.defenses.crfl.CRFL`, whose
smoothness constant is known; for other models the votes are a defence and the radius is
not proven.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from fedward.ops.noise import gaussian


def smoothed_votes(
    logits: Callable[[Float[Tensor, " params"]], Float[Tensor, "images classes"]],
    params: Float[Tensor, " params"],
    sigma: float,
    copies: int,
    generator: torch.Generator,
) -> Int64[Tensor, "images classes"]:
    """How many of the noisy copies of a model answer every image with every class.

    Args:
        logits: answers of the model with the given parameters, on the images of interest.
        params: the last clipped model, without noise.
        sigma: standard deviation of the noise in every parameter.
        copies: noisy models; the paper's M, 1000 there.
    """
    votes: Tensor | None = None
    for _ in range(copies):
        answers = logits(params + gaussian(params, sigma, generator))
        if votes is None:
            votes = torch.zeros(answers.shape, dtype=torch.int64)
        votes.scatter_add_(
            1, answers.argmax(dim=1, keepdim=True).cpu(), torch.ones_like(votes)
        )
    if votes is None:
        raise ValueError(f"smoothing needs at least one copy, got {copies}")
    return votes


@dataclass(frozen=True)
class Threat:
    """What the backdoor is assumed to be, and the training it has to survive.

    Attributes:
        attackers: how many take part in the attacked round (R).
        weight: an attacker's share in the average (p).
        scale: what an attacker multiplies its update by (gamma).
        steps: local iterations (tau).
        lr: local learning rate (eta).
        poisoned: share of the samples of an attacker's batches that are poisoned (q / n).
        smoothness: Lipschitz constant of the gradient with respect to the data (L).
        sigma: noise of the attacked round.
        radii: clipping radius of every later round (rho).
        sigmas: noise of every later round; of the last, the smoothing noise.
    """

    attackers: int
    weight: float
    scale: float
    steps: int
    lr: float
    poisoned: float
    smoothness: float
    sigma: float
    radii: Sequence[float] = ()
    sigmas: Sequence[float] = ()

    def __post_init__(self) -> None:
        if min(self.sigma, *self.sigmas, math.inf) <= 0:
            raise ValueError("without noise in every round nothing can be certified")
        if len(self.radii) != len(self.sigmas):
            raise ValueError(
                f"every later round has a radius and a noise, got {len(self.radii)} "
                f"and {len(self.sigmas)}"
            )


def logistic_smoothness(radius: float) -> float:
    """L for multi-class logistic regression with parameters within ``radius``."""
    return math.sqrt(2 + 2 * radius + radius**2)


@dataclass(frozen=True)
class Certificate:
    """What is known about the smoothed model's answers.

    Attributes:
        classes: most frequent answer; -1 where the smoothed model abstains.
        radii: if no attacker's pattern has an L2 norm of this or more, the answer is what
            it would be without attackers; 0 where it abstains.
    """

    classes: Int64[Tensor, " images"]
    radii: Float64[Tensor, " images"]


def certify(
    votes: Int64[Tensor, "images classes"], threat: Threat, error: float = 1e-3
) -> Certificate:
    """Answers and radii that hold with probability at least 1 - ``error``, by image.

    The smoothed model abstains where the bounds of the two most frequent answers overlap.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    lower, upper = vote_bounds(votes, error)
    sure = lower > upper
    gap = lower.sqrt() - upper.sqrt()
    room = -torch.log1p(-gap.square())
    radii = (room / divergence_per_unit(threat)).sqrt()
    classes = votes.argmax(dim=1)
    return Certificate(
        torch.where(sure, classes, -1), torch.where(sure, radii, torch.zeros_like(radii))
    )


def vote_bounds(
    votes: Int64[Tensor, "images classes"], error: float
) -> tuple[Float64[Tensor, " images"], Float64[Tensor, " images"]]:
    """Hoeffding's bounds: lower of the most frequent class, upper of the next one.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    if votes.shape[1] < 2:
        raise ValueError(f"votes need at least two classes, got {votes.shape[1]}")
    copies = votes.sum(dim=1)
    shares = votes.double().topk(2, dim=1).values / copies[:, None]
    margin = (math.log(1 / error) / (2 * copies.double())).sqrt()
    return (shares[:, 0] - margin).clamp(min=0), (shares[:, 1] + margin).clamp(max=1)


def divergence_per_unit(threat: Threat) -> float:
    """Bound of the divergence of clean and poisoned training, for a backdoor of norm one.

    Kullback-Leibler divergence of the attacked round, contracted by every later round's
    clipping and noise; it grows with the square of the backdoor's norm.
    """
    reach = (
        threat.weight
        * threat.scale
        * threat.steps
        * threat.lr
        * threat.poisoned
        * threat.smoothness
    )
    first = 2 * threat.attackers * (threat.attackers * reach**2) / threat.sigma**2
    later = zip(threat.radii, threat.sigmas, strict=True)
    return first * math.prod(contraction(radius, sigma) for radius, sigma in later)


def contraction(radius: float, sigma: float) -> float:
    """2 Phi(rho / sigma) - 1: what a round's clipping and noise leave of a divergence."""
    return math.erf(radius / sigma / math.sqrt(2))
