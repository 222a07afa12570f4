"""Adaptive: rehearse the round with the server's own rule, send what moves the model most.

The Fedward paper's adversary knows the aggregation (section III.A). This one runs it: it
draws stand-ins for the honest updates, asks the rule what becomes of candidates of growing
strength, and sends the best. It works against any `Defense`. Shejwalkar and Houmansadr,
*Manipulating the Byzantine: Optimizing model poisoning attacks and defenses for federated
learning*, NDSS 2021, https://doi.org/10.14722/ndss.2021.24498, search for the largest
factor of an untargeted update in this way.

Candidates of strength t, with the poisoned p and the clean c of the same client::

    interpolation:  x(t) = c + t (p - c)        scaling:  x(t) = t p

What is maximised is how far the rule's update goes in the poisoned direction,
``<update(t), mean(p) - mean(c)>``, over the rehearsals. For a rule that selects this finds
the strongest candidate that is still accepted, since rejected rows move nothing; for the
others, where acceptance says nothing, it orders the candidates just as well.

A stand-in is the clean mean plus, in every coordinate, the deviation of an attacker drawn
anew, with a random sign. All of a round share one more such deviation, as large as the mean
of so few is uncertain. So the squared distances between stand-ins, and between them and the
attackers' own clean updates, are on average those between clean updates, and their largest
entries are of the same size, which is what rules look at. (Normal noise with the clean
spread has far larger maxima, and makes attackers look central in what AmGrad sees.)
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.attacks.base import Attack, Knowledge, Wrapper
from fedward.attacks.dba import DBA
from fedward.attacks.estimates import clean_rows
from fedward.protocol import Round
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Adaptive(Wrapper):
    """What ``base`` crafts, as strong as the server's rule lets it be.

    Attributes:
        base: the attack that gives the poisoned direction.
        path: how a candidate depends on its strength.
        strongest: largest strength tried; None for clients / attackers, with which a plain
            mean is replaced.
        steps: intervals of the search, over the whole range and again round the best.
        rehearsals: sets of stand-ins that every candidate is tried with.
    """

    base: InstanceOf[Attack] = DBA()
    path: Literal["interpolation", "scaling"] = "interpolation"
    strongest: float | None = Field(default=None, gt=0)
    steps: int = Field(default=6, ge=1)
    rehearsals: int = Field(default=2, ge=1)

    @property
    def needs_clean(self) -> bool:
        """For the stand-ins."""
        return True

    def craft(
        self, own: Float[Tensor, "attackers params"], knowledge: Knowledge
    ) -> Float[Tensor, "attackers params"]:
        """The candidate of the best strength; all attackers share one."""
        poisoned, clean = self.base.craft(own, knowledge), clean_rows(knowledge)
        start = clean if self.path == "interpolation" else torch.zeros_like(clean)
        direction = poisoned.mean(dim=0) - clean.mean(dim=0)
        rounds = [rehearsal(knowledge, clean) for _ in range(self.rehearsals)]

        def gain(strength: float) -> float:
            candidate = torch.lerp(start, poisoned, strength)
            updates = [knowledge.defense(make(candidate)).update for make in rounds]
            return sum(float(update.double() @ direction.double()) for update in updates)

        limit = knowledge.clients / len(own) if self.strongest is None else self.strongest
        return torch.lerp(start, poisoned, best_strength(gain, limit, self.steps))


def rehearsal(
    knowledge: Knowledge, clean: Float[Tensor, "attackers params"]
) -> Callable[[Float[Tensor, "attackers params"]], Round]:
    """The coming round but for the attackers' rows, with stand-ins for all others.

    The strangers' identities are negative, so that no history of a real client is theirs.
    """
    others = knowledge.clients - len(clean)
    honest = stand_ins(clean, others, knowledge.generator)
    clients = torch.cat([knowledge.identities, -1 - torch.arange(others)])
    seed = int(torch.randint(2**62, (), generator=knowledge.generator))

    def make(rows: Float[Tensor, "attackers params"]) -> Round:
        return Round(
            updates=torch.cat([rows, honest]),
            weights=torch.ones(knowledge.clients),
            params=knowledge.params,
            layout=knowledge.layout,
            clients=clients,
            index=knowledge.index,
            generator=torch.Generator().manual_seed(seed),
            memory=knowledge.memory,
        )

    return make


def stand_ins(
    clean: Float[Tensor, "attackers params"], count: int, generator: torch.Generator
) -> Float[Tensor, "count params"]:
    """Rows spread like the clean ones; one clean row deviates by itself."""
    few, params = clean.shape
    mean = clean.mean(dim=0)
    deviations = (clean - mean) * (few / (few - 1)) ** 0.5 if few > 1 else clean

    def deviation() -> Float[Tensor, " params"]:
        whose = torch.randint(few, (1, params), generator=generator).to(clean.device)
        sign = torch.randint(2, (params,), generator=generator).to(clean) * 2 - 1
        return deviations.gather(0, whose)[0] * sign

    centre = mean + deviation() / few**0.5
    rows = clean.new_empty(count, params)
    for row in rows:
        torch.add(centre, deviation(), out=row)
    return rows


def best_strength(gain: Callable[[float], float], limit: float, steps: int) -> float:
    """Where the gain is largest on [0, limit], to limit / steps^2; of equals, the weakest.

    The range is cut into ``steps`` intervals, then the two next to the best point are.
    """
    width = limit / steps
    coarse = {width * k: gain(width * k) for k in range(steps + 1)}
    best = max(coarse, key=coarse.__getitem__)
    near = [best + width * k / steps for k in range(1 - steps, steps) if k]
    fine = {best: coarse[best]} | {t: gain(t) for t in near if 0 <= t <= limit}
    return max(fine, key=fine.__getitem__)
