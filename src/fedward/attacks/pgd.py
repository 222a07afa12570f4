"""Projected gradient descent: train on poisoned data inside a ball round the global model.

Wang et al., *Attack of the tails: Yes, you really can backdoor federated learning*, NeurIPS
2020, https://arxiv.org/abs/2007.05084, section 3: after every k-th step (k = 10 in their
code) the local model is projected onto ||w - G|| <= radius.

Deviations: the last step projects, not the last one of every epoch; the radius does not
shrink with the rounds. Wrapped in `ModelReplacement` this is Wang's "PGD with replacement".
"""

from dataclasses import replace

import torch
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass

from fedward.attacks.base import Attack, Place, Wrapper
from fedward.attacks.dba import DBA
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PGD(Wrapper):
    """What ``base`` poisons, trained inside the ball.

    Attributes:
        base: the attack whose training is projected.
        radius: L2 norm that training cannot exceed. What the base multiplies afterwards, as
            model replacement does, is not projected again.
        project_every: steps between projections.
    """

    base: InstanceOf[Attack] = DBA()
    radius: float = Field(default=1.0, gt=0)
    project_every: int = Field(default=10, ge=1)

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """The base's plan with a ball; if it has a smaller one already, with that."""
        plan = self.base.poison(plan, place, generator)
        if plan.radius <= self.radius:
            return plan
        return replace(plan, radius=self.radius, project_every=self.project_every)
