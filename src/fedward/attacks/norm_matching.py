"""Norm matching: the poisoned update, no longer than an honest one.

The attack that a bound on norms cannot see. In Sun et al., *Can you really backdoor
federated learning?*, 2019, https://arxiv.org/abs/1911.07963, attackers keep within a bound
that they know; here it is unknown, and estimated from what the attackers' own clients get
when they train honestly.
"""

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
class NormMatching(Wrapper):
    """What ``base`` crafts, scaled down to the norm of honest updates, never up.

    Attributes:
        base: the attack whose updates are scaled.
        quantile: of the norms of the clean updates, which one is matched.
    """

    base: InstanceOf[Attack] = DBA()
    quantile: float = Field(default=0.5, ge=0, le=1)

    @property
    def needs_clean(self) -> bool:
        """For the norms."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows times min(1, estimate / norm)."""
        estimate = row_norms(clean_rows(knowledge)).quantile(self.quantile)
        crafted = self.base.craft(own, knowledge)
        return scaled_to(crafted, row_norms(crafted).clamp(max=estimate))
