"""Plans that use everything that a plan can say."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from fedward.engine.plan import LocalPlan, LocalTraining, Trigger, draw_plan
from fedward.seeds import stream


def images(count: int, shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    return torch.randint(
        256, (count, *shape), dtype=torch.uint8, generator=stream(seed, "images")
    )


def honest(client: int, samples: int, pool: int, classes: int) -> LocalPlan:
    """Two epochs over a shard of random images of a pool; the second with a lower rate."""
    generator = stream(client, "plan")
    return draw_plan(
        client,
        torch.randperm(pool, generator=generator)[:samples],
        torch.randint(classes, (pool,), generator=stream(0, "labels")),
        LocalTraining(epochs=2, batch_size=8, lr=0.05, milestones=(1,)),
        generator,
    )


def corner(shape: Sequence[int]) -> Trigger:
    mask = torch.zeros(*shape, dtype=torch.bool)
    mask[:, 0, :2] = True
    return Trigger(mask, torch.full(tuple(shape), 255, dtype=torch.uint8))


def poisoned(plan: LocalPlan, shape: Sequence[int]) -> LocalPlan:
    """Every third image carries the trigger and the label 2."""
    stamped = torch.arange(len(plan.indices)) % 3 == 0
    return replace(
        plan,
        trigger=corner(shape),
        stamped=stamped,
        labels=torch.where(stamped, 2, plan.labels),
    )


def varied(shape: Sequence[int], samples: int, pool: int) -> list[LocalPlan]:
    """An honest client, each kind of attacker, all at once, and nobody."""
    plans = [honest(client, samples + client, pool, 4) for client in range(6)]
    return [
        plans[0],
        poisoned(plans[1], shape),
        replace(plans[2], penalty=0.5),
        replace(plans[3], radius=0.02, project_every=2),
        replace(poisoned(plans[4], shape), penalty=0.3, radius=0.03, project_every=3),
        honest(6, 0, pool, 4),
        replace(plans[5], momentum=0.0, weight_decay=0.0),
    ]
