"""What an attack may do, and everything it may know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic.dataclasses import dataclass as settings
from torch import Tensor

from fedward.engine.plan import LocalPlan, LocalTraining, Trigger
from fedward.layout import Layout
from fedward.protocol import Defense
from fedward.settings import STRICT


@dataclass(frozen=True)
class Place:
    """Where an attacker stands.

    Attributes:
        part: rank of the attacker among the attackers, from 0.
        attackers: how many there are.
        attack_round: rounds since the attack began, from 0.
        shape: channels, height and width of the images.
        labels: labels of all training images (an attacker reads its own shard's only).
    """

    part: int
    attackers: int
    attack_round: int
    shape: tuple[int, int, int]
    labels: Int64[Tensor, " train"]


@dataclass(frozen=True)
class Knowledge:
    """What the colluding attackers know when they craft their updates.

    They know the global model and the whole aggregation rule, never the others' updates.

    Attributes:
        clean: the attackers' own clients trained honestly this round, if the attack asked
            for it with `Attack.needs_clean`; their estimate of honest updates.
        params: the global model of this round.
        defense: the server's rule.
        clients: updates that the server will receive this round, theirs among them.
        memory: the defence's memory before this round (they are assumed to track it).
    """

    clean: Float[Tensor, "attackers params"] | None
    params: Float[Tensor, " params"]
    layout: Layout
    defense: Defense
    clients: int
    index: int
    generator: torch.Generator
    memory: Mapping[str, Tensor]


@dataclass(frozen=True)
class Probe:
    """One measurement of success: the share of images answered with their ``target``.

    Attributes:
        name: ``"whole"`` for the headline, then for instance ``"part 0"``.
        indices: test images, never one whose true class is the target.
        trigger: stamped on all of them; None for attacks without one.
        targets: the answer that counts as success, for each image.
    """

    name: str
    indices: Int64[Tensor, " probed"]
    trigger: Trigger | None
    targets: Int64[Tensor, " probed"]


@settings(frozen=True, kw_only=True, config=STRICT)
class Attack:
    """Every hook is the identity; an attack overrides those it needs."""

    needs_clean: ClassVar[bool] = False

    def strikes(self, place: Place) -> bool:
        """Whether this attacker is malicious this round; otherwise it trains honestly."""
        return True

    def training(self, honest: LocalTraining) -> LocalTraining:
        """How an attacker trains."""
        return honest

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """The plan with poisoned images, labels, penalty or radius."""
        return plan

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """What the striking attackers send in place of what they trained; a new tensor."""
        return own

    def probes(
        self,
        pixels: UInt8[Tensor, "test channels height width"],
        labels: Int64[Tensor, " test"],
    ) -> tuple[Probe, ...]:
        """How success is measured on the test set; the first is the headline."""
        return ()
