"""How far everybody is from a group."""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor


def mean_distances_to(
    distances: Float64[Tensor, "clients clients"], members: Bool[Tensor, " clients"]
) -> list[float | None]:
    """Every row's mean distance to the members other than itself; None if there is none."""
    others = members & ~torch.eye(len(members), dtype=torch.bool)
    totals = torch.where(others, distances, 0.0).sum(dim=1).tolist()
    counts = others.sum(dim=1).tolist()
    return [
        total / count if count else None
        for total, count in zip(totals, counts, strict=True)
    ]
