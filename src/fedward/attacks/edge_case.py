"""Edge-case backdoor: rare images of one class, relabelled; no trigger.

Wang et al., *Attack of the tails: Yes, you really can backdoor federated learning*, NeurIPS
2020, https://arxiv.org/abs/2007.05084, section 3. The rare images are taken from the data
set at hand: of the images of class ``source``, the ``tail`` with the largest (or smallest)
sum of pixels, ties by their place in the data set. On handwritten digits that is the
boldest (or thinnest) handwriting.

Deviations: no outside data. The attackers have collected the whole tail of the training
images, whoever else holds them; honest clients keep their copies with the right label,
which works against the attack (Wang's "honest clients hold edge cases too"). Success is
measured on the same tail of the test images.
"""

from dataclasses import replace

import torch
from jaxtyping import Int64, UInt8
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Place, Probe
from fedward.attacks.poisoning import DataPoisoning, pick
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EdgeCase(DataPoisoning):
    """Rare images of ``source`` are to be taken for ``target``.

    Attributes:
        pdr: share of every batch that is replaced by rare images.
        source: the true class of the rare images.
        tail: share of that class which counts as rare; at least one image.
        bright: whether the brightest are rare, or the darkest.
    """

    pdr: float = Field(default=0.3125, ge=0, lt=1)
    source: int = Field(default=7, ge=0)
    tail: float = Field(default=0.05, gt=0, le=1)
    bright: bool = True

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ValueError(
                f"an edge case needs two classes, got {self.source} as source and target"
            )

    def rare(
        self,
        pixels: UInt8[Tensor, "images channels height width"],
        labels: Int64[Tensor, " images"],
    ) -> Int64[Tensor, " rare"]:
        """Which images are rare, ascending.

        Raises:
            ValueError: if the class has no images.
        """
        members = (labels == self.source).nonzero().squeeze(1)
        if not len(members):
            raise ValueError(f"the edge case needs images of class {self.source}, got none")
        sums = pixels[members.to(pixels.device)].flatten(1).sum(dim=1, dtype=torch.int64)
        order = sums.cpu().argsort(descending=self.bright, stable=True)
        count = max(1, round(self.tail * len(members)))
        return members.cpu()[order[:count]].sort().values

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """``pdr`` of every batch becomes rare images, and all rare ones the target."""
        pool = self.rare(place.pixels, place.labels)
        chosen = pick(plan.sizes, self.pdr, generator)
        drawn = torch.randint(len(pool), (int(chosen.sum()),), generator=generator)
        indices = plan.indices.clone()
        indices[chosen] = pool[drawn]
        labels = plan.labels.masked_fill(torch.isin(indices, pool), self.target)
        return replace(plan, indices=indices, labels=labels)

    def probes(
        self,
        pixels: UInt8[Tensor, "test channels height width"],
        labels: Int64[Tensor, " test"],
    ) -> tuple[Probe, ...]:
        """The rare test images."""
        rare = self.rare(pixels, labels)
        return (Probe("whole", rare, None, torch.full_like(rare, self.target)),)
