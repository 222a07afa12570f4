"""Poisoning of local data: which images of a plan, and how their holders train."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Int64
from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack
from fedward.engine.plan import LocalPlan, LocalTraining
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataPoisoning(Attack):
    """Attackers train on images of their choice, longer and harder than honest clients.

    The numbers are those of the Fedward experiments on MNIST.

    Attributes:
        target: the class that the attack wants answered.
        epochs: local epochs of an attacker.
        lr: learning rate of an attacker; momentum and weight decay are the honest ones.
        milestones: local epochs after which it is multiplied by the honest ``gamma``.
    """

    target: int = Field(default=2, ge=0)
    epochs: int = Field(default=6, ge=1)
    lr: float = Field(default=0.05, gt=0)
    milestones: tuple[NonNegativeInt, ...] = ()

    def training(self, honest: LocalTraining) -> LocalTraining:
        """The attacker's epochs and learning rate, the rest as the honest clients."""
        return replace(honest, epochs=self.epochs, lr=self.lr, milestones=self.milestones)


def share_of(size: int, share: float) -> int:
    """int(share x size); 0.29 x 100 is 29, although floating point says 28.999..."""
    return int(round(share * size, 9))


def pick(
    sizes: Sequence[int], share: float, generator: torch.Generator
) -> Bool[Tensor, " samples"]:
    """int(share x size) samples of every batch, drawn anew for each."""
    chosen = torch.zeros(sum(sizes), dtype=torch.bool)
    start = 0
    for size in sizes:
        order = torch.randperm(size, generator=generator)
        chosen[start + order[: share_of(size, share)]] = True
        start += size
    return chosen


def poisoned(plan: LocalPlan, labels: Int64[Tensor, " train"]) -> Bool[Tensor, " samples"]:
    """Samples of a plan that are stamped or not trained as what they are."""
    return plan.stamped | (plan.labels != labels[plan.indices])


def others(labels: Int64[Tensor, " test"], target: int) -> Int64[Tensor, " probed"]:
    """Test images whose true class is not the target."""
    return (labels != target).nonzero().squeeze(1).cpu()
