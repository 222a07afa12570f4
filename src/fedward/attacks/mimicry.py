"""AmGrad mimicry: poison whatever equation 3 of Fedward cannot see.

Amplified magnitude sparsification (Chen et al., *Fedward*, ICME 2023,
https://doi.org/10.1109/ICME55011.2023.00067, equation 3) keeps the signs of an update and
the largest magnitude of every layer, and nothing else. So every attacker takes both from
what its own client gets by honest training. Honest clients do not agree in all signs
either, so it can afford to keep its own at a share of the entries, where that serves it
best. With none kept, the clustering sees the very vector of an honest client; but little is
then left of the backdoor, since the magnitudes alone hardly hold one.
"""

import torch
from jaxtyping import Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.estimates import clean_rows
from fedward.attacks.poisoning import share_of
from fedward.layout import Layout
from fedward.ops.amgrad import Sparsity, layer_maxima
from fedward.settings import STRICT

TINY = 2.0**-20
"""Least share of a layer's maximum: an entry that should be zero has to keep its sign."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AmGradMimicry(Wrapper):
    """What ``base`` crafts, disguised.

    Attributes:
        base: the attack whose updates are disguised.
        strength: t in c + t (p - c), from the clean to the poisoned update and beyond it,
            before the disguise takes its part away.
        free: share of every layer's entries that keep their poisoned sign: those where the
            poisoned update is furthest from the clean one.
        sparsity: the form of AmGrad that is deceived. Deceiving ``ternary`` also deceives
            ``dense``.
    """

    base: InstanceOf[Attack] = DBA()
    strength: float = Field(default=2.0, gt=0)
    free: float = Field(default=0.3, ge=0, le=1)
    sparsity: Sparsity = "dense"

    @property
    def needs_clean(self) -> bool:
        """For the signs and maxima."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """Rows with the AmGrad vectors of the clean ones, but for the free entries."""
        clean = clean_rows(knowledge)
        wanted = torch.lerp(clean, self.base.craft(own, knowledge), self.strength)
        return disguised(wanted, clean, knowledge.layout, self.sparsity, self.free)


def disguised(
    rows: Float[Tensor, "clients params"],
    models: Float[Tensor, "clients params"],
    layout: Layout,
    sparsity: Sparsity = "dense",
    free: float = 0.0,
) -> Float[Tensor, "clients params"]:
    """The nearest rows with the AmGrad vectors of the models, row by row.

    Entries keep the model's sign and stay within its layer's maximum, which one entry
    reaches; for ``ternary``, they stay on the model's side of half the maximum. The
    int(free x entries) of a layer that are furthest from the model (of equals, the first)
    are held to the maximum alone.
    """
    peaks = layer_maxima(models, layout)
    disguise = torch.empty_like(rows)
    for layer, columns in enumerate(layout.slices):
        peak, model = peaks[:, layer, None], models[:, columns]
        low, high = peak * TINY, peak
        if sparsity == "ternary":
            large = model.abs() > peak / 2
            # A step above the half, since the half itself counts as small.
            low = torch.where(large, peak / 2 * (1 + TINY), low)
            high = torch.where(large, peak, peak / 2)
        sizes = torch.clamp(rows[:, columns] * model.sign(), low, high)
        top = model.abs().argmax(dim=1, keepdim=True)
        held = sizes.scatter(1, top, peak) * model.sign()
        wanted = rows[:, columns].clamp(-peak, peak).scatter(1, top, held.gather(1, top))
        gaps = (rows[:, columns] - model).abs()
        order = gaps.argsort(dim=1, descending=True, stable=True)
        kept = order[:, : share_of(model.shape[1], free)]
        disguise[:, columns] = held.scatter(1, kept, wanted.gather(1, kept))
    return disguise
