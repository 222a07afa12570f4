"""Inner-product manipulation: push the mean against the honest direction. Untargeted.

Xie et al., *Fall of empires: Breaking Byzantine-tolerant SGD by inner product
manipulation*, UAI 2019, https://arxiv.org/abs/1903.03936: every attacker sends - epsilon
times the mean of the honest updates. The plain mean of n updates, f of them malicious,
becomes ((n - f) - f epsilon) / n times that mean, which turns round for
epsilon > (n - f) / f.

Deviation: the honest mean is that of the attackers' own clean updates.
"""

from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge
from fedward.attacks.estimates import clean_rows
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class InnerProduct(Attack):
    """The honest mean, turned round.

    Attributes:
        epsilon: how far; the default turns the mean of 10 updates round, 4 being malicious.
            Small values (0.1 in the paper) are meant for rules that pick a few updates.
    """

    epsilon: float = Field(default=3.0, gt=0)

    @property
    def needs_clean(self) -> bool:
        """For the mean."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows - epsilon x mean."""
        mean = clean_rows(knowledge).mean(dim=0)
        return (-self.epsilon * mean).expand_as(own).clone()
