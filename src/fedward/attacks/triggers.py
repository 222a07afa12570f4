"""The pixels of the distributed backdoor, and splitting any trigger into parts.

Xie et al., *DBA: Distributed backdoor attacks against federated learning*, ICLR 2020,
https://openreview.net/forum?id=rkgyS0VFvr; four bars of 1 x 4 pixels with a gap of 2 on
grey images, of 1 x 6 with a gap of 3 on coloured ones, white in every channel.
"""

from collections.abc import Sequence

import torch

from fedward.engine.plan import Trigger

GREY = ((0, 3), ((0, 4), (6, 10)))
"""Rows, and half-open ranges of columns, of the bars on images with one channel."""

COLOUR = ((0, 4), ((0, 6), (9, 15)))
"""The same for images with more channels."""

WHITE = 255


def whole_trigger(shape: tuple[int, int, int]) -> Trigger:
    """The four bars for images of this shape (channels, height, width).

    Raises:
        ValueError: if the bars do not fit.
    """
    channels, height, width = shape
    rows, bars = GREY if channels == 1 else COLOUR
    need = (max(rows) + 1, max(end for _, end in bars))
    if height < need[0] or width < need[1]:
        raise ValueError(
            f"the trigger needs images of at least {need[0]} x {need[1]} pixels, "
            f"got {height} x {width}"
        )
    mask = torch.zeros(shape, dtype=torch.bool)
    for row in rows:
        for start, end in bars:
            mask[:, row, start:end] = True
    return Trigger(mask, mask.to(torch.uint8) * WHITE)


def split(trigger: Trigger, parts: int) -> tuple[Trigger, ...]:
    """Disjoint triggers whose union is the whole.

    Pixels are taken row by row and cut into runs of equal length (the first ones longer by
    one where it does not come out even), so the bars of `whole_trigger` in four parts are
    the four patterns of the paper: upper left, upper right, lower left, lower right.

    Raises:
        ValueError: if there are fewer pixels than parts.
    """
    pixels = trigger.mask.any(dim=0).flatten().nonzero().squeeze(1)
    if not 1 <= parts <= len(pixels):
        raise ValueError(
            f"a trigger of {len(pixels)} pixels splits into 1 to {len(pixels)} parts, "
            f"got {parts}"
        )
    pieces = []
    for run in pixels.tensor_split(parts):
        here = torch.zeros(trigger.mask[0].numel(), dtype=torch.bool)
        here[run] = True
        pieces.append(Trigger(trigger.mask & here.view_as(trigger.mask[0]), trigger.value))
    return tuple(pieces)


def union(parts: Sequence[Trigger]) -> Trigger:
    """One trigger with the pixels of all; where parts overlap the first one's value holds.

    Raises:
        ValueError: if there is none.
    """
    if not parts:
        raise ValueError("a union needs at least one trigger, got none")
    mask, value = parts[0].mask, parts[0].value
    for part in parts[1:]:
        value = torch.where(mask, value, part.value)
        mask = mask | part.mask
    return Trigger(mask, value)
