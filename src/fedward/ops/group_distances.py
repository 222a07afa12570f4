"""How far everybody is from a group."""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from fedward.ops.optics import row_blocks


def mean_distances_to(
    distances: Float64[Tensor, "clients clients"], members: Bool[Tensor, " clients"]
) -> list[float | None]:
    """Every row's mean distance to the members other than itself; None if there is none."""
    means: list[float | None] = []
    for start, block in row_blocks(distances):
        rows = torch.arange(len(block))
        others = members.repeat(len(block), 1)
        others[rows, start + rows] = False
        totals = torch.where(others, block, 0.0).sum(dim=1).tolist()
        counts = others.sum(dim=1).tolist()
        means += [
            total / count if count else None
            for total, count in zip(totals, counts, strict=True)
        ]
    return means
