"""Distributed backdoor: each attacker trains on a part of the trigger, the whole one fires.

Xie et al., *DBA: Distributed backdoor attacks against federated learning*, ICLR 2020,
https://openreview.net/forum?id=rkgyS0VFvr, sections 3 and 4; its multi-shot form with the
numbers of the Fedward experiments (MNIST: 6 epochs at 0.05, no step of the learning rate).

Deviations: the poisoned share of a smaller last batch is pro rata, and which images of a
batch are poisoned is drawn (DBA takes a fixed number, the first ones).
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Knowledge, Place, Probe
from fedward.attacks.poisoning import DataPoisoning, others, pick
from fedward.attacks.triggers import split, whole_trigger
from fedward.engine.plan import LocalPlan, Trigger
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DBA(DataPoisoning):
    """Multi-shot: every attacker poisons every round.

    Stamped images are to be taken for ``target``.

    Attributes:
        pdr: poisoned share of every batch, 0.3125 being 20 images of 64.
        parts: triggers into which the whole is split; attacker k gets part k modulo parts.
        scale: what the trained update is multiplied by.
    """

    pdr: float = Field(default=0.3125, ge=0, lt=1)
    parts: int = Field(default=4, ge=1)
    scale: float = Field(default=1.0, gt=0)

    def trigger(self, place: Place) -> Trigger:
        """The part that this attacker stamps."""
        return split(whole_trigger(place.shape), self.parts)[place.part % self.parts]

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """``pdr`` of every batch carries the attacker's part and the target's label."""
        stamped = pick(plan.sizes, self.pdr, generator)
        return replace(
            plan,
            stamped=stamped,
            labels=plan.labels.masked_fill(stamped, self.target),
            trigger=self.trigger(place),
        )

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """``scale`` times what was trained."""
        return own * self.scale

    def probes(
        self,
        pixels: UInt8[Tensor, "test channels height width"],
        labels: Int64[Tensor, " test"],
    ) -> tuple[Probe, ...]:
        """The whole trigger, then each part, on images of the other classes."""
        channels, height, width = pixels.shape[1:]
        whole = whole_trigger((channels, height, width))
        triggers = {"whole": whole}
        if self.parts > 1:
            triggers |= {
                f"part {k}": part for k, part in enumerate(split(whole, self.parts))
            }
        indices = others(labels, self.target)
        targets = torch.full_like(indices, self.target)
        return tuple(
            Probe(name, indices, trigger, targets) for name, trigger in triggers.items()
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DBASingleShot(DBA):
    """Every attacker strikes once, ``interval`` rounds after the one before it.

    It does so if it is among the clients of that round, as attackers with ``choice=fixed``
    are, and if the run and the attack last that long.

    The numbers are DBA's for MNIST (10 epochs with steps after 2 and 8, gamma = 100).
    There the server multiplies the mean by 0.1, so that 100 among 10 clients replaces the
    model; a server that adds the whole mean needs 10, and 100 overshoots tenfold.
    """

    epochs: int = Field(default=10, ge=1)
    milestones: tuple[NonNegativeInt, ...] = (2, 8)
    scale: float = Field(default=100.0, gt=0)
    interval: int = Field(default=2, ge=1)

    def strikes(self, place: Place) -> bool:
        """Only in the attacker's own round; before and after it trains honestly."""
        return place.attack_round == self.interval * place.part


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Centralised(DBA):
    """Every attacker stamps the whole trigger, DBA's point of comparison (section 4)."""

    parts: int = Field(default=1, ge=1, le=1)
