"""Inner products of rows in one pass; distances, cosines and medians follow from them.

In narrow blocks of columns, so beside the updates only a block is held; float64 inside, but
for what `model_gram` says of itself.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from fedward.ops.blocks import (
    WIDTH,
    column_blocks,
    flat_rows,
    paired_blocks,
    resident_width,
)
from fedward.ops.distances import row_norms
from fedward.ops.kernels import gram_loops, spread
from fedward.ops.paging import mapping_of, release

CANCELLED = 1e-4
"""Share of |x|^2 + |y|^2 below which a squared distance has lost too many digits."""

VANISHED = 1e-2
"""Share of |g|^2 + |u|^2 below which |g + u|^2 has too few digits in single precision."""

PARTS = 16
"""Most ranges of columns that are summed apart, whatever the number of threads."""

Products = NDArray[np.float64]


def gram(
    updates: Float[Tensor, "clients params"], shift: Float[Tensor, " params"] | None = None
) -> Float64[Tensor, "clients clients"]:
    """Inner products of the rows, ``shift`` added to every row first."""
    readable = flat_rows(updates)
    loops = None if readable is None else gram_loops()
    if readable is None or loops is None:
        return _gram_by_blocks(updates, shift)
    flat, offsets = readable
    added = _vector(updates.new_zeros(updates.shape[1]) if shift is None else shift)
    return torch.from_numpy(
        _in_parts(updates, lambda b, e: loops.shifted(flat, offsets, added, b, e))
    )


def _gram_by_blocks(
    updates: Float[Tensor, "clients params"], shift: Float[Tensor, " params"] | None
) -> Float64[Tensor, "clients clients"]:
    """The same without Numba, on any device."""
    products = torch.zeros(len(updates), len(updates), dtype=torch.float64)
    start = 0
    for block in column_blocks(updates):
        wide = block.double()
        if shift is not None:
            wide = wide + shift[start : start + block.shape[1]].double()
        products += (wide @ wide.T).cpu()
        start += block.shape[1]
    return (products + products.T) / 2


def _vector(row: Float[Tensor, " params"]) -> NDArray[np.floating[Any]]:
    """As the compiled loops want it."""
    kind = row.dtype if row.dtype in (torch.float32, torch.float64) else torch.float32
    return row.detach().to("cpu", kind).contiguous().numpy()


def _in_parts(
    updates: Float[Tensor, "clients params"], products: Callable[[int, int], Products]
) -> Products:
    """Sum of what ranges of columns give, the same bits for any number of threads."""
    clients, columns = updates.shape
    # All parts' products together stay a small share of the updates.
    width = max(WIDTH, 32 * clients, -(-columns // PARTS))
    width = -(-width // WIDTH) * WIDTH
    readers, mapped = torch.get_num_threads() * clients, mapping_of(updates)
    step = resident_width(updates, width, readers, 1 << 10)
    found: dict[int, Products] = {}

    def add(start: int) -> None:
        end = min(start + width, columns)
        for begin in range(start, end, step):
            more = products(begin, min(begin + step, end))
            found[start] = more if begin == start else found[start] + more
            release(mapped)

    spread(add, range(0, columns, width))
    total: Products = np.sum([found[start] for start in sorted(found)], axis=0)
    return total


def model_gram(
    updates: Float[Tensor, "clients params"],
    params: Float[Tensor, " params"],
    norms: Float64[Tensor, " clients"],
) -> Float64[Tensor, "clients clients"]:
    """Inner products of the models ``params + update``, in half the time of `gram`.

    From |g|^2 + g.u_i + g.u_j + u_i.u_j, the first three in float64, so that what models
    have in common cancels as in float64. The last is multiplied and summed in float32 over
    512 columns at a time, and on in float64: off by at most 512 roundings, which is
    3e-5 |u_i| |u_j|, and by less than 1e-7 |u_i| |u_j| wherever it was measured, parallel
    updates and lengths that differ by 1e25 among them. Equal updates have equal products.
    Where a model nearly vanishes, or updates are not in single precision, or without Numba,
    it is `gram`.

    Args:
        norms: those of the updates.
    """
    readable = flat_rows(updates) if updates.dtype == torch.float32 else None
    loops = None if readable is None else gram_loops()
    if readable is None or loops is None:
        return gram(updates, params)
    flat, offsets = readable
    # Powers of two, which round nothing: no square of a float32 can overflow then.
    exponents = -torch.frexp(norms).exponent
    factors = torch.ldexp(torch.ones_like(norms), exponents)
    vector = _vector(params)
    both = torch.from_numpy(
        _in_parts(
            updates,
            lambda b, e: loops.scaled(flat, offsets, factors.numpy(), vector, b, e),
        )
    )
    inner, along = both[:, :-1] / factors[:, None] / factors, both[:, -1]
    square = row_norms(params[None]).square()
    products = square + (along[:, None] + along) + inner
    if (products.diagonal() <= VANISHED * (square + inner.diagonal())).any():
        return gram(updates, params)
    return products


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
    pairs = paired_blocks(left, right)
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
