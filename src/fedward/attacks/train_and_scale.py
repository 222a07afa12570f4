"""Train and scale: train freely, then give the update the norm that passes.

Bagdasaryan et al., *How to backdoor federated learning*, AISTATS 2020,
https://arxiv.org/abs/1807.00459, section 3.3 and equation 5: gamma = S / ||X - G||, where S
is the norm up to which the anomaly detector is content.

Deviation: where S is not given, it is the largest norm of the attackers' own clean updates.
"""

import torch
from jaxtyping import Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.estimates import clean_rows, scaled_to
from fedward.ops.distances import row_norms
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainAndScale(Wrapper):
    """What ``base`` crafts, scaled up or down to the bound.

    Attributes:
        base: the attack whose updates are scaled.
        bound: S, an L2 norm; None for the largest of the clean updates.
    """

    base: InstanceOf[Attack] = DBA()
    bound: float | None = Field(default=None, gt=0)

    @property
    def needs_clean(self) -> bool:
        """To estimate the bound where it is not given."""
        return self.bound is None or self.base.needs_clean

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows of norm S."""
        bound = self.bound
        if bound is None:
            bound = float(row_norms(clean_rows(knowledge)).max())
        crafted = self.base.craft(own, knowledge)
        return scaled_to(crafted, torch.full((len(crafted),), bound))
