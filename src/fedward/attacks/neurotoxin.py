"""Neurotoxin: keep off the coordinates that honest clients are about to overwrite.

Zhang et al., *Neurotoxin: Durable backdoors in federated learning*, ICML 2022,
https://arxiv.org/abs/2206.10341, algorithm 1: the poisoned update is projected onto the
coordinates that are not among the top k % by magnitude of the last global update.

Deviation: the finished update is masked, not every gradient step. The last global update
is the difference of two successive global models, which every client sees.
"""

import torch
from jaxtyping import Bool, Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.poisoning import share_of
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Neurotoxin(Wrapper):
    """What ``base`` crafts, without the coordinates that matter to honest clients.

    Attributes:
        base: the attack whose updates are masked.
        ratio: share of all coordinates that is left alone.
    """

    base: InstanceOf[Attack] = DBA()
    ratio: float = Field(default=0.05, ge=0, lt=1)

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows with zeros at the heaviest coordinates; unmasked in the first round."""
        crafted = self.base.craft(own, knowledge)
        if knowledge.previous is None:
            return crafted
        heavy = heaviest(knowledge.params - knowledge.previous, self.ratio)
        return crafted.masked_fill(heavy, 0.0)


def heaviest(update: Float[Tensor, " params"], ratio: float) -> Bool[Tensor, " params"]:
    """The int(ratio x params) largest magnitudes, none of them 0; of equals, the first."""
    order = update.abs().argsort(descending=True, stable=True)
    mask = torch.zeros_like(update, dtype=torch.bool)
    mask[order[: share_of(len(update), ratio)]] = True
    # A model that a held round left where it was says nothing of what matters.
    return mask & (update != 0)
