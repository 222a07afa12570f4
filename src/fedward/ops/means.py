"""Weighted sums of rows, without a copy of the rows."""

import torch
from jaxtyping import Float
from torch import Tensor


def weighted_mean(
    updates: Float[Tensor, "clients params"], weights: Float[Tensor, " clients"]
) -> Float[Tensor, " params"]:
    """Sum of weight x row over the sum of the weights, in the rows' own dtype.

    Rows of weight zero are not read, so a rejected row cannot leak in.

    Raises:
        ValueError: if the weights are negative, not finite, or sum to zero.
    """
    weights = weights.double()
    if not bool(weights.isfinite().all()) or bool((weights < 0).any()):
        raise ValueError(f"weights must be finite and not negative, got {weights.tolist()}")
    total = weights.sum()
    if total == 0:
        raise ValueError("weights sum to zero: there is nothing to average")
    shares = (weights / total).tolist()
    mean = torch.zeros_like(updates[0])
    for row, share in zip(updates, shares, strict=True):
        if share > 0:
            mean.add_(row, alpha=share)
    return mean
