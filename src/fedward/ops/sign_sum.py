"""The aggregation in the authors' public code, which is not the paper's equation 4."""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from fedward.ops.blocks import column_blocks


def mean_magnitudes(
    updates: Float[Tensor, "clients params"],
) -> Float64[Tensor, " clients"]:
    """Mean of the absolute entries of every row."""
    totals = torch.zeros(len(updates), dtype=torch.float64)
    for block in column_blocks(updates):
        totals += block.double().abs().sum(dim=1).cpu()
    return totals / updates.shape[1]


def sign_sum(
    updates: Float[Tensor, "clients params"], members: Bool[Tensor, " clients"]
) -> tuple[Float[Tensor, " params"], float]:
    """Sum over the members of sign(row) x min(a, S), and S.

    a is the row's mean magnitude and S the median of a over **all** clients.
    """
    magnitudes = mean_magnitudes(updates)
    cap = float(magnitudes.quantile(0.5))
    steps = (magnitudes.clamp(max=cap) * members).tolist()
    parts = []
    for block in column_blocks(updates):
        part = torch.zeros_like(block[0])
        for row, step in zip(block, steps, strict=True):
            if step > 0:
                part.add_(row.sign(), alpha=step)
        parts.append(part)
    return torch.cat(parts), cap
