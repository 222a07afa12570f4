"""Label flip: all images of one class are trained as another.

Tolpegin et al., *Data poisoning attacks against federated learning systems*, ESORICS 2020,
https://arxiv.org/abs/2007.08432, section 3. The classes are a setting, as there.

Deviation: attackers train with their own epochs and learning rate (there: like honest
clients, which with fewer attackers than honest clients mostly blurs the class).
"""

from dataclasses import replace

import torch
from jaxtyping import Int64, UInt8
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Place, Probe
from fedward.attacks.poisoning import DataPoisoning
from fedward.engine.plan import LocalPlan
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LabelFlip(DataPoisoning):
    """Images of ``source`` are to be taken for ``target``.

    Attributes:
        source: the class whose label is flipped.
    """

    source: int = Field(default=7, ge=0)

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise ValueError(
                f"a label flip needs two classes, got {self.source} as source and target"
            )

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """Every label ``source`` becomes ``target``."""
        flipped = plan.labels == self.source
        return replace(plan, labels=plan.labels.masked_fill(flipped, self.target))

    def probes(
        self,
        pixels: UInt8[Tensor, "test channels height width"],
        labels: Int64[Tensor, " test"],
    ) -> tuple[Probe, ...]:
        """All test images of the class."""
        indices = (labels == self.source).nonzero().squeeze(1).cpu()
        return (Probe("whole", indices, None, torch.full_like(indices, self.target)),)
