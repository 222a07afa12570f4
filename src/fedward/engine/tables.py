"""Plans as tensors on the device that trains, one row a step.

A step of many clients at once reads one row for each of them, so that everything about it
(images, learning rates, penalties) is gathered by a single list of row numbers, in tensors
whose shapes never change.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from fedward.engine.network import Network, kept_units
from fedward.engine.plan import LocalPlan, Trigger, stamp, unit
from fedward.engine.seam import ClientFailed
from fedward.engine.workers import spread

IDLE = 0
"""The row of nobody: one that trains nothing."""


@dataclass(frozen=True)
class Tables:
    """The steps of some plans, plan after plan; row `IDLE` is nobody's.

    Every step is filled up to ``batch`` images by repeating its first, with weight 0.

    Attributes:
        weights: what an image's loss counts; in a step they sum to one.
        stamped: which images carry the row's trigger.
        triggers: which trigger a row's images carry; trigger 0 marks no pixel.
        radius: of the ball that the local model is projected onto after the step, inf where
            it is not projected.
        keep: which units every dropout site keeps, a bit for an image's unit.
        first: row of every plan's first step.
    """

    indices: Int64[Tensor, "rows batch"]
    labels: Int64[Tensor, "rows batch"]
    weights: Float[Tensor, "rows batch"]
    stamped: Bool[Tensor, "rows batch"]
    triggers: Int64[Tensor, " rows"]
    masks: Bool[Tensor, "triggers channels height width"]
    values: UInt8[Tensor, "triggers channels height width"]
    lr: Float[Tensor, " rows"]
    momentum: Float[Tensor, " rows"]
    decay: Float[Tensor, " rows"]
    penalty: Float[Tensor, " rows"]
    radius: Float[Tensor, " rows"]
    keep: tuple[UInt8[Tensor, "rows _"], ...]
    first: tuple[int, ...]

    def dropout(
        self, rows: Int64[Tensor, " slots"], units: Sequence[int]
    ) -> list[Float[Tensor, "slots batch _"]]:
        """Masks of these steps for dropout sites of so many units, 0 or 2."""
        batch = self.indices.shape[1]
        found = []
        for bits, width in zip(self.keep, units, strict=True):
            places = torch.arange(8, dtype=torch.uint8, device=bits.device)
            kept = (bits[rows, :, None] >> places).bitwise_and_(1).flatten(1)
            mask = kept[:, : batch * width].to(self.weights.dtype).mul_(2)
            found.append(mask.view(-1, batch, width))
        return found

    def images(
        self,
        pixels: UInt8[Tensor, "train channels height width"],
        rows: Int64[Tensor, " slots"],
    ) -> Float[Tensor, "slots batch channels height width"]:
        """The images of these steps, in [0, 1]."""
        chosen = pixels[self.indices[rows]]
        kinds, where = self.triggers[rows], self.stamped[rows]
        mask = self.masks[kinds][:, None] & where[:, :, None, None, None]
        return unit(torch.where(mask, self.values[kinds][:, None], chosen))


def tabulate(
    model: Network,
    plans: Sequence[LocalPlan],
    batch: int,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "train channels height width"],
) -> Tables:
    """Tables of plans whose steps have up to ``batch`` images.

    Args:
        model: whose dropout is drawn.
        plans: each with at least one step and without faults, see `fault`.
        batch: images that every step is filled up to.
        params: their dtype is that of the numbers.
        pixels: their shape is that of the triggers; all tables are put on their device.
    """
    device, dtype = pixels.device, params.dtype
    steps = [(plan, span) for plan in plans for span in plan.spans]
    shape = len(steps) + 1, batch
    indices = torch.zeros(shape, dtype=torch.long)
    labels, stamped = torch.zeros_like(indices), torch.zeros(shape, dtype=torch.bool)
    weights = torch.zeros(shape, dtype=dtype)
    for row, (plan, span) in enumerate(steps, start=1):
        size = span.stop - span.start
        indices[row] = plan.indices[span.start]
        indices[row, :size] = plan.indices[span]
        labels[row, :size] = plan.labels[span]
        stamped[row, :size] = plan.stamped[span]
        weights[row, :size] = 1 / size
    first, told = [], [(0.0, 0.0, 0.0, 0.0, math.inf)]
    for plan in plans:
        first.append(len(told))
        told += [
            (lr, plan.momentum, plan.weight_decay, plan.penalty, radius_after(plan, step))
            for step, lr in enumerate(plan.lr)
        ]
    numbers = torch.tensor(told, dtype=dtype).T.contiguous().to(device)
    triggers, masks, values = stacked_triggers(plans, pixels)
    return Tables(
        indices=indices.to(device),
        labels=labels.to(device),
        weights=weights.to(device),
        stamped=stamped.to(device),
        triggers=triggers,
        masks=masks,
        values=values,
        lr=numbers[0],
        momentum=numbers[1],
        decay=numbers[2],
        penalty=numbers[3],
        radius=numbers[4],
        keep=tuple(bits.to(device) for bits in packed_units(model, plans, batch)),
        first=tuple(first),
    )


def radius_after(plan: LocalPlan, step: int) -> float:
    """Radius of the ball that this step ends in; inf where it does not project."""
    return plan.radius if plan.projects(step) else math.inf


def packed_units(
    model: Network, plans: Sequence[LocalPlan], batch: int
) -> tuple[UInt8[Tensor, "rows _"], ...]:
    """Kept units of every row by dropout site, eight to a byte, the first the lowest bit.

    Drawn on all CPUs, since a GPU computes a step of a few clients in the time that one CPU
    takes to draw for one of them.
    """
    if not model.dropout:
        return ()

    def drawn(plan: LocalPlan) -> list[list[UInt8[np.ndarray, " bytes"]]]:
        steps = []
        for step, size in enumerate(plan.sizes):
            whole = [
                torch.zeros(batch, units, dtype=torch.uint8) for units in model.dropout
            ]
            kept = kept_units(model, size, plan.dropout_seed, step)
            for filled, units in zip(whole, kept, strict=True):
                filled[:size] = units
            steps.append([np.packbits(site.numpy(), bitorder="little") for site in whole])
        return steps

    rows = [steps for plan in spread(drawn, plans) for steps in plan]
    sites = zip(*rows, strict=True)
    packed = [np.stack([np.zeros_like(site[0]), *site]) for site in sites]
    return tuple(torch.from_numpy(bits) for bits in packed)


def stacked_triggers(
    plans: Sequence[LocalPlan], pixels: UInt8[Tensor, "train channels height width"]
) -> tuple[
    Int64[Tensor, " rows"],
    Bool[Tensor, "triggers channels height width"],
    UInt8[Tensor, "triggers channels height width"],
]:
    """Trigger number of every row, masks and values; number 0 marks no pixel."""
    shape = pixels.shape[1:]
    kinds, masks = [0], [torch.zeros(shape, dtype=torch.bool)]
    values = [torch.zeros(shape, dtype=torch.uint8)]
    for plan in plans:
        used = plan.trigger is not None and bool(plan.stamped.any())
        kinds += [len(masks) if used else 0] * len(plan.sizes)
        if used and plan.trigger is not None:
            masks.append(plan.trigger.mask.cpu().expand(shape))
            values.append(plan.trigger.value.cpu().expand(shape))
    device = pixels.device
    return (
        torch.tensor(kinds, device=device),
        torch.stack(masks).to(device),
        torch.stack(values).to(device),
    )


def fault(
    plan: LocalPlan,
    pixels: UInt8[Tensor, "train channels height width"],
    classes: int,
) -> ClientFailed | None:
    """The first step that could not be computed, or None.

    In a step of many clients an error has no owner, and on a GPU a wrong index ends the
    process; so what can be wrong with one client is looked for beforehand.
    """
    for step, span in enumerate(plan.spans):
        try:
            within(plan.indices[span], -len(pixels), len(pixels), "index")
            if plan.trigger is not None and plan.stamped[span].any():
                stampable(plan.trigger, pixels)
            within(plan.labels[span], 0, classes, "label")
        except Exception as error:
            return ClientFailed(plan.client, step, error)
    return None


def within(values: Int64[Tensor, " batch"], low: int, high: int, what: str) -> None:
    """Whether all are at least ``low`` and below ``high``.

    Raises:
        IndexError: naming the first that is not.
    """
    wrong = values[(values < low) | (values >= high)]
    if len(wrong):
        raise IndexError(f"{what} {int(wrong[0])} is out of bounds, there are {high}")


def stampable(
    trigger: Trigger, pixels: UInt8[Tensor, "train channels height width"]
) -> None:
    """Whether a trigger fits images of this shape.

    Raises:
        RuntimeError: as stamping one of them does.
    """
    blank = torch.zeros((1, *pixels.shape[1:]), dtype=torch.uint8)
    stamp(blank, Trigger(trigger.mask.cpu(), trigger.value.cpu()))


def timetable(lengths: Sequence[int], width: int) -> list[list[tuple[int, int] | None]]:
    """Which item's which step is computed when and where: ``[tick][slot]``.

    The longest begin first, the earlier ones of equals. Whoever is done makes room for the
    next, so that a slot is idle only when nobody waits any more.

    Args:
        lengths: steps of every item.
        width: slots.

    Returns:
        Pairs of item and step, or None where a slot is idle. No tick is all idle.
    """
    slots: list[list[tuple[int, int]]] = [[] for _ in range(width)]
    free = [(0, slot) for slot in range(width)]
    for item in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        taken, slot = heapq.heappop(free)
        slots[slot] += [(item, step) for step in range(lengths[item])]
        heapq.heappush(free, (taken + lengths[item], slot))
    ticks = max(map(len, slots))
    return [
        [slot[tick] if tick < len(slot) else None for slot in slots]
        for tick in range(ticks)
    ]
