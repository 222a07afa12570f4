"""What an engine needs to know about a model."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from fedward.seeds import stream


class Network(nn.Module):
    """A classifier of image batches with its dropout masks handed in.

    Attributes:
        dropout: units of every dropout site, in the order of use; each keeps a unit with
            probability one half. Empty for models without dropout.
    """

    dropout: ClassVar[tuple[int, ...]] = ()

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits of images in [0, 1]. Without masks nothing is dropped (evaluation)."""
        raise NotImplementedError


def kept_units(
    model: Network, batch: int, seed: int, step: int
) -> tuple[UInt8[Tensor, "batch _"], ...]:
    """Which units a step keeps at every dropout site, 0 or 1, on the CPU."""
    if not model.dropout:
        return ()
    generator = stream(seed, step)
    return tuple(
        torch.randint(2, (batch, units), generator=generator, dtype=torch.uint8)
        for units in model.dropout
    )


def dropout_masks(
    model: Network, batch: int, seed: int, step: int
) -> tuple[Float[Tensor, "batch _"], ...]:
    """Masks of one step, 0 or 2 (kept units are scaled by 1 / 0.5), on the CPU."""
    kept = kept_units(model, batch, seed, step)
    return tuple(units.float().mul_(2) for units in kept)
