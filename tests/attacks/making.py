"""What an attack is handed; every argument has a small default."""

from typing import Any

import torch
from torch import Tensor

from fedward.attacks.base import Knowledge, Place
from fedward.engine.plan import LocalPlan, LocalTraining, draw_plan
from fedward.layout import Layout
from fedward.protocol import Aggregation, Round, Verdict
from fedward.seeds import stream


class Mean:
    """The plainest rule there is: everybody's mean."""

    selects = False
    needs = 1

    def __call__(self, round: Round) -> Aggregation:
        verdict = Verdict(accepted=True, reason="used")
        return Aggregation(round.updates.mean(0), (verdict,) * len(round.updates))


def place(part: int = 0, attack_round: int = 0, **given: Any) -> Place:
    """An attacker among four, in front of 200 grey noise images."""
    generator = stream(1, "place")
    pixels = torch.randint(256, (200, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (200,), generator=generator)
    known: dict[str, Any] = {"attackers": 4, "pixels": pixels, "labels": labels}
    return Place(part=part, attack_round=attack_round, **(known | given))


def plan(where: Place, training: LocalTraining) -> LocalPlan:
    """The honest plan of a client with the first 150 images."""
    return draw_plan(0, torch.arange(150), where.labels, training, stream(1, "plan"))


def knowledge(attackers: int = 2, clients: int = 10, **given: Any) -> Knowledge:
    """Before a round of ten, at a global model of six parameters, all zero."""
    params = given.get("params", torch.zeros(6))
    known: dict[str, Any] = {
        "clean": None,
        "params": params,
        "previous": None,
        "identities": torch.arange(attackers),
        "layout": Layout.flat(len(params)),
        "defense": Mean(),
        "clients": clients,
        "index": 0,
        "generator": stream(1, "craft"),
        "memory": {},
    }
    return Knowledge(**(known | given))


def small_round(updates: Tensor, layout: Layout) -> Round:
    """A server's view of these updates, from a model of zeros."""
    clients, params = updates.shape
    return Round(
        updates=updates,
        weights=torch.ones(clients),
        params=torch.zeros(params),
        layout=layout,
        clients=torch.arange(clients),
        index=0,
        generator=stream(1, "round"),
    )
