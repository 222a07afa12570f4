"""Gaussian noise from a named generator."""

import torch
from jaxtyping import Float
from torch import Tensor


def gaussian(
    like: Float[Tensor, " params"], sigma: float, generator: torch.Generator
) -> Float[Tensor, " params"]:
    """N(0, sigma^2) in every entry, with the dtype and device of ``like``.

    Drawn in float32 on the generator's own device, so that every precision and every device
    gets the same numbers. Nothing is drawn when ``sigma`` is 0.
    """
    if sigma == 0:
        return torch.zeros_like(like)
    noise = torch.randn(like.shape, generator=generator, device=generator.device)
    return (sigma * noise.to(like.dtype)).to(like.device)
