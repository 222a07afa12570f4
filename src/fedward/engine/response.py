"""Local response normalisation over two channels, without pooling and without powers.

Krizhevsky et al., *ImageNet classification with deep convolutional neural networks*, 2012,
section 3.3, as `torch.nn.LocalResponseNorm` reads it: ``y = x * d ** -0.75`` with
``d = k + alpha * (x[c] ** 2 + x[c - 1] ** 2) / 2`` and nothing before the first channel.
PyTorch pools over a third dimension and calls ``pow``; sums of neighbours and square roots
are about twelve times as fast.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

BETA = 0.75
"""The only exponent here: ``d ** -0.75`` is ``r * sqrt(r)`` for ``r = d ** -0.5``."""


def with_neighbours(
    values: Float[Tensor, "batch rows columns channels"], before: bool
) -> Float[Tensor, "batch rows columns channels"]:
    """Every channel plus the one before it, or behind it, where there is one."""
    flat = values.view(-1)
    sums = flat.clone()
    # Over the whole array at once, which takes the outermost channel's neighbour from the
    # next pixel; that channel is put right afterwards.
    if before:
        sums[1:] += flat[:-1]
    else:
        sums[:-1] += flat[1:]
    sums = sums.view(values.shape)
    edge = 0 if before else -1
    sums[..., edge] = values[..., edge]
    return sums


class Normalise(torch.autograd.Function):
    """``local_response_norm(images, 2, alpha, BETA, k)``, with channels last."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Float[Tensor, "batch channels height width"],
        alpha: float,
        k: float,
    ) -> Float[Tensor, "batch channels height width"]:
        """Normalised images."""
        x = images.permute(0, 2, 3, 1).contiguous()
        root = with_neighbours(x * x, before=True).mul_(alpha / 2).add_(k).rsqrt_()
        scale = root.sqrt().mul_(root)
        ctx.save_for_backward(x, root, scale)
        ctx.alpha = alpha
        return (x * scale).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of the images: g s - alpha beta x (t[c] + t[c + 1]), t = g x s / d."""
        x, root, scale = ctx.saved_tensors
        direct = gradients[0].permute(0, 2, 3, 1).contiguous() * scale
        through = (direct * x).mul_(root).mul_(root)
        crossed = with_neighbours(through, before=False).mul_(x)
        return direct.sub_(crossed, alpha=ctx.alpha * BETA).permute(0, 3, 1, 2), None, None
