"""Norms and pairwise distances of rows, float64 inside, read in blocks of columns."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fedward.ops.blocks import column_blocks


def row_norms(updates: Float[Tensor, "clients params"]) -> Float64[Tensor, " clients"]:
    """L2 norm of every row."""
    squares = torch.zeros(len(updates), dtype=torch.float64, device=updates.device)
    for block in column_blocks(updates):
        # Widened on the way, not as a copy.
        squares += torch.linalg.vector_norm(block, dim=1, dtype=torch.float64).square()
    return squares.sqrt().cpu()


def pairwise_euclidean(
    rows: Float[Tensor, "clients params"],
) -> Float64[Tensor, "clients clients"]:
    """Euclidean distances by differences: exact zeros on the diagonal, symmetric.

    The form |x|^2 + |y|^2 - 2xy loses everything when rows are close to each other compared
    with their length, which updates and models are; so differences, one row at a time.
    """
    count = len(rows)
    squares = torch.zeros(count, count, dtype=torch.float64)
    for block in column_blocks(rows):
        wide = block.double()
        for i in range(count - 1):
            gaps = (wide[i + 1 :] - wide[i]).square().sum(dim=1).cpu()
            squares[i, i + 1 :] += gaps
            squares[i + 1 :, i] += gaps
    return squares.sqrt()
