"""Explicit boosting: train for the attacker's goal, multiply the update.

Bhagoji et al., *Analyzing federated learning through an adversarial lens*, ICML 2019,
https://arxiv.org/abs/1811.12470, section 3.2: the update is multiplied by 1 / alpha_m,
where alpha_m is the malicious share of the mean; here that of all attackers together.

Deviations: any data poisoning stands in for their chosen test images, and training ends
after the epochs of the base (there: when the loss is small).
"""

from dataclasses import replace
from typing import Literal

import torch
from pydantic.dataclasses import dataclass

from fedward.attacks.base import Place
from fedward.attacks.poisoning import poisoned
from fedward.attacks.replacement import ModelReplacement
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExplicitBoosting(ModelReplacement):
    """Training on the poisoned images, boosted by ``factor``.

    Attributes:
        objective: ``converge-train`` trains on clean and poisoned images together;
            ``malicious`` on the poisoned ones alone, which costs the main task.
    """

    objective: Literal["converge-train", "malicious"] = "converge-train"

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """The base's plan, or only its poisoned images, without the empty batches."""
        plan = self.base.poison(plan, place, generator)
        if self.objective == "converge-train":
            return plan
        kept = poisoned(plan, place.labels)
        sizes = [int(run.sum()) for run in torch.split(kept, list(plan.sizes))]
        return replace(
            plan,
            indices=plan.indices[kept],
            labels=plan.labels[kept],
            stamped=plan.stamped[kept],
            sizes=tuple(size for size in sizes if size),
            lr=tuple(lr for lr, size in zip(plan.lr, sizes, strict=True) if size),
        )
