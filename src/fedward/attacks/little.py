"""A little is enough: hide inside the spread of honest updates.

Baruch et al., *A little is enough: Circumventing defenses for distributed learning*,
NeurIPS 2019, https://arxiv.org/abs/1902.06156, algorithm 3: with n clients of which f
collude, s = floor(n / 2 + 1) - f honest ones have to be further from the mean than the
attackers, so

    z = Phi^-1((n - f - s) / (n - f))

standard deviations pass. The untargeted attack sends mean - z std in every coordinate. The
backdoor (section 4.2) stays in the interval mean +- z std.

Deviations: mean and spread are those of the attackers' own clean updates. The backdoor is
moved into the interval once, after training (there: a distance in the loss as well). With
few attackers the formula gives z < 0, which is taken as 0; for a majority of attackers,
which needs nobody further out, s is taken as 1.
"""

import torch
from jaxtyping import Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.estimates import clean_rows, mean_and_spread
from fedward.settings import STRICT


def deviations(clients: int, attackers: int) -> float:
    """z, how many standard deviations pass; never negative."""
    honest = max(1, clients - attackers)
    needed = max(1, clients // 2 + 1 - attackers)
    share = torch.tensor((honest - needed) / honest, dtype=torch.float64)
    return max(0.0, float(torch.special.ndtri(share)))


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LittleIsEnough(Attack):
    """Untargeted: all attackers send the same slightly wrong update.

    Attributes:
        z: standard deviations from the mean; None for the formula.
    """

    z: float | None = Field(default=None, ge=0)

    @property
    def needs_clean(self) -> bool:
        """For mean and spread."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows mean - z std."""
        mean, spread = mean_and_spread(clean_rows(knowledge))
        z = deviations(knowledge.clients, len(own)) if self.z is None else self.z
        return (mean - z * spread).expand_as(own).clone()


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LittleBackdoor(Wrapper):
    """What ``base`` crafts, moved into mean +- z std, coordinate by coordinate.

    Attributes:
        base: the attack whose updates are moved.
        z: standard deviations from the mean; None for the formula.
    """

    base: InstanceOf[Attack] = DBA()
    z: float | None = Field(default=None, ge=0)

    @property
    def needs_clean(self) -> bool:
        """For mean and spread."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows clamped to the interval."""
        mean, spread = mean_and_spread(clean_rows(knowledge))
        z = deviations(knowledge.clients, len(own)) if self.z is None else self.z
        crafted = self.base.craft(own, knowledge)
        return crafted.clamp(mean - z * spread, mean + z * spread)
