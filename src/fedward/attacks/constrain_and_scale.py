"""Constrain and scale: train close to the global model, then scale the update up.

Bagdasaryan et al., *How to backdoor federated learning*, AISTATS 2020,
https://arxiv.org/abs/1807.00459, section 3.3 and equation 4::

    L = alpha L_class + (1 - alpha) L_ano,   L_ano = ||w - G||

An engine minimises ``cross entropy + penalty ||w - G||``; times alpha that is L with
penalty = (1 - alpha) / alpha, so the learning rate is multiplied by alpha and the weight
decay, which is not part of L, divided by it.

Deviations: there are no early stop and no slowing down once the backdoor is learnt, because
a plan is made before training. ``alpha`` is ours: the paper leaves it open and its public
code ships with 1, which switches the constraint off.
"""

from dataclasses import replace

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from fedward.attacks.base import Place
from fedward.attacks.replacement import ModelReplacement
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ConstrainAndScale(ModelReplacement):
    """Model replacement whose training is held back.

    Attributes:
        alpha: weight of the classification loss; 1 - alpha is the constraint's.
    """

    alpha: float = Field(default=0.9, gt=0, le=1)

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """The base's plan with the distance in its loss."""
        plan = self.base.poison(plan, place, generator)
        return replace(
            plan,
            penalty=plan.penalty + (1 - self.alpha) / self.alpha,
            lr=tuple(lr * self.alpha for lr in plan.lr),
            weight_decay=plan.weight_decay / self.alpha,
        )
