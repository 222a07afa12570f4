"""What an attack may do, and everything it may know.

Composition: an attack that changes what another one does is a `Wrapper` with a setting
``base``. It asks its base first and then adds its own step, hook by hook, so that wrappers
stack and ``NormMatching(base=ModelReplacement(base=DBA()))`` reads from the inside out. As
a table: ``{"name": "norm-matching", "base": {"name": "dba", "pdr": 0.3125}}``;
`settings.build` resolves the inner tables and `settings.as_table` writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import InstanceOf
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
        pixels: all training images (for their shape, and for attackers who collect rare
            images; the others' training never depends on what is read here).
        labels: labels of all training images.
    """

    part: int
    attackers: int
    attack_round: int
    pixels: UInt8[Tensor, "train channels height width"]
    labels: Int64[Tensor, " train"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class Knowledge:
    """What the colluding attackers know when they craft their updates.

    They know the global model and the whole aggregation rule, never the others' updates.

    Attributes:
        clean: what the same attackers' clients get by training honestly this round, in the
            same order, if the attack asked for it with `Attack.needs_clean`; their estimate
            of honest updates.
        params: the global model of this round.
        previous: the global model of the round before; None in the first round.
        identities: the striking attackers' own, one a row of what they craft.
        defense: the server's rule.
        clients: updates that the server will receive this round, theirs among them.
        memory: the defence's memory before this round (they are assumed to track it).
    """

    clean: Float[Tensor, "attackers params"] | None
    params: Float[Tensor, " params"]
    previous: Float[Tensor, " params"] | None
    identities: Int64[Tensor, " attackers"]
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

    @property
    def needs_clean(self) -> bool:
        """Whether attackers' clients are also trained honestly, for `Knowledge.clean`."""
        return False

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


@settings(frozen=True, kw_only=True, config=STRICT)
class Wrapper(Attack):
    """Every hook is that of ``base``; a wrapper overrides those that it adds to."""

    base: InstanceOf[Attack]

    @property
    def needs_clean(self) -> bool:
        """What the base needs."""
        return self.base.needs_clean

    def strikes(self, place: Place) -> bool:
        """When the base strikes."""
        return self.base.strikes(place)

    def training(self, honest: LocalTraining) -> LocalTraining:
        """How the base trains."""
        return self.base.training(honest)

    def poison(
        self, plan: LocalPlan, place: Place, generator: torch.Generator
    ) -> LocalPlan:
        """What the base poisons."""
        return self.base.poison(plan, place, generator)

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """What the base crafts."""
        return self.base.craft(own, knowledge)

    def probes(
        self,
        pixels: UInt8[Tensor, "test channels height width"],
        labels: Int64[Tensor, " test"],
    ) -> tuple[Probe, ...]:
        """How the success of the base is measured."""
        return self.base.probes(pixels, labels)
