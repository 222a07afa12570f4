"""Weighted sums of rows, without a copy of the rows."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fedward.ops.blocks import flat_rows
from fedward.ops.kernels import kernels, spread
from fedward.ops.paging import mapping_of, release

WIDTH = 1 << 17
"""Fewest columns that are worth a thread's start."""

NARROWEST = 1 << 12
"""Columns summed at a time however little of a mapped matrix may be resident."""


def weighted_sum(
    updates: Float[Tensor, "clients params"], weights: Float[Tensor, " clients"]
) -> Float[Tensor, " params"]:
    """Sum of weight x row, in the rows' own dtype.

    Single and double precision on a CPU are summed in float64, row after row, and rounded
    once; other rows are summed as they are. Rows of weight zero are not read, so a rejected
    row cannot leak in.
    """
    readable = flat_rows(updates)
    if readable is not None:
        return _summed_once(updates, weights, *readable)
    total = torch.zeros_like(updates[0])
    for row, weight in zip(updates, weights.tolist(), strict=True):
        if weight != 0:
            total.add_(row, alpha=weight)
    return total


def _summed_once(
    updates: Float[Tensor, "clients params"],
    weights: Float[Tensor, " clients"],
    flat: NDArray[np.floating[Any]],
    offsets: NDArray[np.int64],
) -> Float[Tensor, " params"]:
    """Every row of another weight than zero read once, whatever lies between the rows."""
    columns = updates.shape[1]
    shares = weights.detach().double().cpu().numpy()
    used = shares.nonzero()[0]
    out = np.empty(columns, flat.dtype)
    loops, offsets, shares = kernels(), offsets[used], shares[used]
    mapped, threads = mapping_of(updates), torch.get_num_threads()
    width = max(WIDTH, columns // (4 * threads))
    if mapped is not None:
        # Pages that hold few of the columns wanted would have to be read again and again.
        at_once = mapped.for_each(threads * len(updates))
        width = min(width, max(NARROWEST, at_once // updates.itemsize))

    def add(begin: int) -> None:
        loops.weighted(flat, offsets, shares, out, begin, min(begin + width, columns))
        release(mapped)

    spread(add, range(0, columns, width))
    return torch.from_numpy(out)


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
