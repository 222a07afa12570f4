"""Model replacement: scale the update so that the mean becomes the attackers' model.

Bagdasaryan et al., *How to backdoor federated learning*, AISTATS 2020,
https://arxiv.org/abs/1807.00459, equation 3: submit G + gamma (X - G) with gamma = n / eta,
here divided by the number of attackers (as in its public code), who strike together.
"""

from jaxtyping import Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ModelReplacement(Wrapper):
    """What ``base`` crafts, times gamma.

    Attributes:
        base: the attack whose updates are scaled.
        factor: gamma; None for clients / attackers, with which the mean of all updates is
            the mean of the attackers' updates plus (1 / clients) x the sum of the others'.
    """

    base: InstanceOf[Attack] = DBA()
    factor: float | None = Field(default=None, gt=0)

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows times gamma."""
        factor = knowledge.clients / len(own) if self.factor is None else self.factor
        return self.base.craft(own, knowledge) * factor
