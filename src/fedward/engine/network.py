"""What an engine needs to know about a model."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
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


def dropout_masks(
    model: Network, batch: int, seed: int, step: int
) -> tuple[Float[Tensor, "batch _"], ...]:
    """Masks of one step, 0 or 2 (kept units are scaled by 1 / 0.5), on the CPU."""
    if not model.dropout:
        return ()
    generator = stream(seed, step)
    return tuple(
        2.0 * torch.randint(2, (batch, units), generator=generator).float()
        for units in model.dropout
    )
