"""What a model answers, in large batches over all workers."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fedward.engine.accelerate import accelerated
from fedward.engine.fused import fused
from fedward.engine.network import Network
from fedward.engine.patches import NotLocal, Patch
from fedward.engine.plan import Trigger, stamp, unit
from fedward.engine.stacked import ROOM, slot_bytes
from fedward.engine.variants import Variants
from fedward.engine.workers import spread
from fedward.layout import Layout

BATCH = 250
"""Images at a time: on a CPU, what their activations need should stay in its cache."""

GPU_BATCH = 10_000
"""The most on a GPU, which is to have enough to do in every operation."""

Logits = Callable[[Tensor], Float[Tensor, "variants batch classes"]]


def answers(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    triggers: Sequence[Trigger] = (),
    batch: int | None = None,
    workers: int | None = None,
) -> Int64[Tensor, "variants images"]:
    """The class with the largest logit (the first of equals), for every image.

    Args:
        model: used as a workspace; its parameters on return are ``params``.
        params: the model's parameters, by its layout.
        pixels: images, on the device that computes.
        triggers: row 0 of the result is for the images as they are, and every further row
            for all of them stamped with one of these. On a CPU, models that look at images
            window by window compute only what a stamp changes.
        batch: images at a time; None for `BATCH`, or what suits the GPU.
        workers: threads on a CPU; None for one a usable CPU. Answers do not depend on it.
    """
    Layout.of(model).load(model, params)
    logits = whole_images(model, triggers)
    if pixels.is_cpu:
        patchwise, plain = patches_only(model, triggers), logits
        try:
            with torch.inference_mode():
                patchwise(pixels[:1])
        except NotLocal:
            logits = whole_images(accelerated(model), triggers)
        else:
            logits = finite_or(patchwise, plain)

    def answer(part: UInt8[Tensor, "part channels height width"]) -> Tensor:
        with torch.inference_mode(), fused(pixels.device):
            return logits(part).argmax(dim=2)

    parts = torch.split(pixels, batch or suitable(model, pixels))
    return torch.cat(spread(answer, parts, workers if pixels.is_cpu else 1), dim=1)


def suitable(model: Network, pixels: UInt8[Tensor, "images channels height width"]) -> int:
    """Images at a time: on a GPU `GPU_BATCH`, or as many as the engine's `ROOM` holds.

    As much is counted for an image as training keeps of it, more than an answer needs.
    """
    if pixels.is_cpu:
        return BATCH
    one, two = (slot_bytes(model, count, pixels.shape[1:]) for count in (1, 2))
    return max(1, min(GPU_BATCH, ROOM // (two - one)))


def whole_images(model: Network, triggers: Sequence[Trigger]) -> Logits:
    """The plain way: every variant goes through the model as if it were alone."""

    def logits(
        pixels: UInt8[Tensor, "part channels height width"],
    ) -> Float[Tensor, "variants part classes"]:
        variants = [pixels, *(stamp(pixels, trigger) for trigger in triggers)]
        return torch.stack([model(as_input(each)) for each in variants])

    return logits


def patches_only(model: Network, triggers: Sequence[Trigger]) -> Logits:
    """What triggers leave alone is computed once for all variants.

    Raises:
        NotLocal: when called, if the model cannot be followed so.
    """
    boxes = [box(trigger) for trigger in triggers]

    def logits(
        pixels: UInt8[Tensor, "part channels height width"],
    ) -> Float[Tensor, "variants part classes"]:
        changes = []
        for trigger, (rows, columns) in zip(triggers, boxes, strict=True):
            where = (..., rows, columns)
            small = Trigger(trigger.mask[where], trigger.value[where])
            stamped = as_input(stamp(pixels[where], small))
            changes.append(Patch(rows.start, columns.start, stamped))
        variants = model(Variants(as_input(pixels), changes))
        if not isinstance(variants, Variants):
            raise NotLocal("the variants were lost")
        return torch.stack(variants.all())

    return logits


def finite_or(quick: Logits, plain: Logits) -> Logits:
    """The quick way where it gives numbers.

    It subtracts, and Inf - Inf is not what the plain way would have had.
    """

    def logits(pixels: Tensor) -> Float[Tensor, "variants batch classes"]:
        found = quick(pixels)
        return found if bool(found.isfinite().all()) else plain(pixels)

    return logits


def box(trigger: Trigger) -> tuple[slice, slice]:
    """The smallest rows and columns that hold the trigger's pixels."""
    mask = trigger.mask.any(dim=0)
    spans = []
    for line in (mask.any(dim=1), mask.any(dim=0)):
        places = line.nonzero().flatten().tolist() or [0]
        spans.append(slice(places[0], places[-1] + 1))
    return spans[0], spans[1]


def as_input(
    pixels: UInt8[Tensor, "part channels height width"],
) -> Float[Tensor, "part channels height width"]:
    """Images in [0, 1] with channels last."""
    return unit(pixels).to(memory_format=torch.channels_last)
