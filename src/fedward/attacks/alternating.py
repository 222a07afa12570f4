"""Alternating minimisation: boosted steps for the attack, plain ones for stealth.

Bhagoji et al., *Analyzing federated learning through an adversarial lens*, ICML 2019,
https://arxiv.org/abs/1811.12470, section 3.4: a step for the malicious objective,
multiplied by the boost, then steps for the honest objective with rho times the distance to
an honest update in the loss (10 of them, boost 10 and rho = 1e-4 in the public code).

Deviations: plain SGD without momentum, in which a boosted step is one with a boosted
learning rate (there: Adam); the distance is to the global model, and in the loss of all
steps; the malicious images are those that ``base`` poisons among the honest steps' images.
"""

from dataclasses import replace

import torch
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass

from fedward.attacks.base import Attack, Place, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.poisoning import poisoned
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AlternatingMinimisation(Wrapper):
    """The base's poisoned images in steps of their own.

    Attributes:
        base: the attack whose images are separated.
        boost: what a malicious step is multiplied by.
        honest_steps: honest steps after every malicious one.
        rho: weight of the distance in the loss.
    """

    base: InstanceOf[Attack] = DBA()
    boost: float = Field(default=10.0, gt=0)
    honest_steps: int = Field(default=10, ge=1)
    rho: float = Field(default=1e-4, ge=0)

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """Of every ``honest_steps`` batches, first all poisoned images, then the others."""
        plan = self.base.poison(plan, place, generator)
        bad = poisoned(plan, place.labels)
        batches = torch.split(torch.arange(len(bad)), list(plan.sizes))
        runs, rates = [], []
        for first in range(0, len(batches), self.honest_steps):
            window = batches[first : first + self.honest_steps]
            together = torch.cat(window)
            runs += [together[bad[together]], *(run[~bad[run]] for run in window)]
            lr = plan.lr[first : first + self.honest_steps]
            rates += [lr[0] * self.boost, *lr]
        order = torch.cat(runs) if runs else torch.arange(0)
        return replace(
            plan,
            indices=plan.indices[order],
            labels=plan.labels[order],
            stamped=plan.stamped[order],
            sizes=tuple(len(run) for run in runs if len(run)),
            lr=tuple(lr for lr, run in zip(rates, runs, strict=True) if len(run)),
            momentum=0.0,
            penalty=plan.penalty + self.rho,
        )
