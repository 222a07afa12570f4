"""Inner products of rows in one pass; distances, cosines and medians follow from them.

Float64 inside and in narrow blocks of columns, so beside the updates only a block is held.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fedward.ops.blocks import WIDTH, column_blocks
from fedward.ops.distances import row_norms

CANCELLED = 1e-4
"""Share of |x|^2 + |y|^2 below which a squared distance has lost too many digits."""


def gram(
    updates: Float[Tensor, "clients params"], shift: Float[Tensor, " params"] | None = None
) -> Float64[Tensor, "clients clients"]:
    """Inner products of the rows, ``shift`` added to every row first."""
    products = torch.zeros(len(updates), len(updates), dtype=torch.float64)
    start = 0
    for block in column_blocks(updates):
        wide = block.double()
        if shift is not None:
            wide = wide + shift[start : start + block.shape[1]].double()
        products += (wide @ wide.T).cpu()
        start += block.shape[1]
    return (products + products.T) / 2


def shortest_row(updates: Float[Tensor, "clients params"]) -> Float[Tensor, " params"]:
    """The row of the smallest norm, a view: an origin that no far row can pull away."""
    return updates[int(row_norms(updates).argmin())]


def squared_distances(
    updates: Float[Tensor, "clients params"],
) -> Float64[Tensor, "clients clients"]:
    """Squared Euclidean distances: symmetric, exact zeros on the diagonal.

    One matrix product a block with the shortest row as origin; the pairs that are close to
    each other compared with their distance from it are done again by differences.
    """
    products = gram(updates, -shortest_row(updates))
    lengths = products.diagonal()
    sums = lengths[:, None] + lengths
    squares = (sums - 2 * products).clamp(min=0)
    lost = (squares <= CANCELLED * sums).triu(diagonal=1).nonzero().tolist()
    for i, j in lost:
        squares[i, j] = squares[j, i] = _squared_distance(updates[i], updates[j])
    return squares.fill_diagonal_(0)


def _squared_distance(
    left: Float[Tensor, " params"], right: Float[Tensor, " params"]
) -> float:
    """By differences, in blocks."""
    pairs = zip(torch.split(left, WIDTH), torch.split(right, WIDTH), strict=True)
    return float(sum((a.double() - b.double()).square().sum() for a, b in pairs))


def cosines(
    products: Float64[Tensor, "clients clients"],
) -> Float64[Tensor, "clients clients"]:
    """Cosines of the angles between rows; 0 where a row is zero, 1 on the diagonal."""
    lengths = products.diagonal().sqrt()
    # One length after the other: their product could overflow.
    safe = torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    angles = products / safe[:, None] / safe
    # Exactly symmetric, or clusterings would break ties by the order of the rows.
    return ((angles + angles.T) / 2).clamp(-1, 1).fill_diagonal_(1)


def distances_to_combination(
    products: Float64[Tensor, "clients clients"], weights: Float64[Tensor, " clients"]
) -> Float64[Tensor, " clients"]:
    """Distances of the rows to the weighted sum of the rows, weights summing to one."""
    along = products @ weights
    squares = products.diagonal() - 2 * along + weights @ along
    return squares.clamp(min=0).sqrt()
