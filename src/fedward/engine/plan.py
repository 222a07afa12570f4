"""One client's local training as data: every random choice is drawn already.

An engine computes, it never draws. Attacks change a plan's numbers; an engine cannot tell
an attacker's plan from an honest one.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass as settings
from torch import Tensor

from fedward.settings import STRICT


@settings(frozen=True, kw_only=True, config=STRICT)
class LocalTraining:
    """How a client trains: SGD with momentum on mini-batches.

    Attributes:
        milestones: local epochs after which the learning rate is multiplied by ``gamma``.
    """

    epochs: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=1)
    lr: float = Field(default=0.01, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    milestones: tuple[NonNegativeInt, ...] = ()
    gamma: float = Field(default=0.1, gt=0)


@dataclass(frozen=True)
class Trigger:
    """Pixels that are overwritten: where ``mask`` is true, the image becomes ``value``."""

    mask: Bool[Tensor, "channels height width"]
    value: UInt8[Tensor, "channels height width"]


def stamp(
    pixels: UInt8[Tensor, "images channels height width"],
    trigger: Trigger,
    where: Bool[Tensor, " images"] | None = None,
) -> UInt8[Tensor, "images channels height width"]:
    """Copies of the images with the trigger on those that ``where`` names (default all)."""
    mask = trigger.mask if where is None else trigger.mask & where[:, None, None, None]
    return torch.where(mask, trigger.value, pixels)


@dataclass(frozen=True)
class LocalPlan:
    """What one client will compute this round.

    Attributes:
        client: identity, for messages only.
        indices: training images, step after step.
        labels: what the client trains them as.
        stamped: which of them carry the trigger.
        sizes: images of every step; they sum to the samples.
        lr: learning rate of every step.
        trigger: the pixels of ``stamped`` images; None when nothing is stamped.
        penalty: weight of the L2 distance to the global model in the loss.
        radius: the local model is projected onto this L2 ball round the global model.
        project_every: steps between projections; the last step always projects.
        dropout_seed: addresses the dropout masks, ``stream(dropout_seed, step)``.

    Raises:
        ValueError: if the parts do not fit together.
    """

    client: int
    indices: Int64[Tensor, " samples"]
    labels: Int64[Tensor, " samples"]
    stamped: Bool[Tensor, " samples"]
    sizes: tuple[int, ...]
    lr: tuple[float, ...]
    momentum: float
    weight_decay: float
    dropout_seed: int
    trigger: Trigger | None = None
    penalty: float = 0.0
    radius: float = math.inf
    project_every: int = 1

    def __post_init__(self) -> None:
        samples = sum(self.sizes)
        lengths = len(self.indices), len(self.labels), len(self.stamped)
        if lengths != (samples,) * 3:
            raise ValueError(
                f"client {self.client}: steps of {samples} images in all need as many "
                "indices, labels and stamps, got {} and {} and {}".format(*lengths)
            )
        if len(self.lr) != len(self.sizes) or 0 in self.sizes:
            raise ValueError(
                f"client {self.client}: every step needs an image and a learning rate, got "
                f"{len(self.lr)} rates for steps of {self.sizes} images"
            )
        if self.trigger is None and self.stamped.any():
            raise ValueError(f"client {self.client}: stamped images need a trigger")

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """Samples of every step."""
        ends = itertools.accumulate(self.sizes, initial=0)
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    def projects(self, step: int) -> bool:
        """Whether the local model is projected onto the ball after this step."""
        last = step == len(self.sizes) - 1
        return math.isfinite(self.radius) and (last or (step + 1) % self.project_every == 0)


def batch(
    plan: LocalPlan, pixels: UInt8[Tensor, "train channels height width"], step: int
) -> tuple[Float[Tensor, "images channels height width"], Int64[Tensor, " images"]]:
    """Images in [0, 1] and labels of one step, on the device of ``pixels``."""
    span = plan.spans[step]
    device = pixels.device
    chosen = pixels[plan.indices[span].to(device)]
    where = plan.stamped[span]
    if plan.trigger is not None and where.any():
        mask, value = plan.trigger.mask.to(device), plan.trigger.value.to(device)
        chosen = stamp(chosen, Trigger(mask, value), where.to(device))
    return unit(chosen), plan.labels[span].to(device)


def unit(pixels: UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Bytes as float32 in [0, 1], the same on every device."""
    # By a plain number a GPU would multiply with its inverse, which rounds otherwise.
    return pixels.float().div_(torch.full((), 255.0, device=pixels.device))


def draw_plan(
    client: int,
    shard: Int64[Tensor, " shard"],
    labels: Int64[Tensor, " train"],
    training: LocalTraining,
    generator: torch.Generator,
) -> LocalPlan:
    """An honest plan: every epoch visits the client's shard once, in a new order.

    The last batch of an epoch may be smaller. A client without images has no steps.
    """
    orders, sizes, lr = [], [], []
    for epoch in range(training.epochs):
        orders.append(shard[torch.randperm(len(shard), generator=generator)])
        full, rest = divmod(len(shard), training.batch_size)
        epoch_sizes = [training.batch_size] * full + [rest] * (rest > 0)
        passed = sum(milestone <= epoch for milestone in training.milestones)
        sizes += epoch_sizes
        lr += [training.lr * training.gamma**passed] * len(epoch_sizes)
    indices = torch.cat(orders)
    return LocalPlan(
        client=client,
        indices=indices,
        labels=labels[indices],
        stamped=torch.zeros(len(indices), dtype=torch.bool),
        sizes=tuple(sizes),
        lr=tuple(lr),
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        dropout_seed=int(torch.randint(2**62, (), generator=generator)),
    )
