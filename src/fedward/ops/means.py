"""Weighted sums of rows, without a copy of the rows."""

import torch
from jaxtyping import Float
from torch import Tensor


def weighted_sum(
    updates: Float[Tensor, "clients params"], weights: Float[Tensor, " clients"]
) -> Float[Tensor, " params"]:
    """Sum of weight x row, in the rows' own dtype.

    Rows of weight zero are not read, so a rejected row cannot leak in.
    """
    total = torch.zeros_like(updates[0])
    for row, weight in zip(updates, weights.tolist(), strict=True):
        if weight != 0:
            total.add_(row, alpha=weight)
    return total


def weighted_mean(
    updates: Float[Tensor, "clients params"], weights: Float[Tensor, " clients"]
) -> Float[Tensor, " params"]:
    """Sum of weight x row over the sum of the weights, in the rows' own dtype.

    Raises:
        ValueError: if the weights are negative, not finite, or sum to zero.
    """
    weights = weights.double()
    if not bool(weights.isfinite().all()) or bool((weights < 0).any()):
        raise ValueError(f"weights must be finite and not negative, got {weights.tolist()}")
    total = weights.sum()
    if total == 0:
        raise ValueError("weights sum to zero: there is nothing to average")
    return weighted_sum(updates, weights / total)
