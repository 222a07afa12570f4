"""Norms and pairwise distances of rows, float64 inside, read in blocks of columns."""

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fedward.ops.blocks import WIDTH, column_blocks, flat_rows, resident_width
from fedward.ops.kernels import gram_loops, spread
from fedward.ops.paging import mapping_of, release


def row_norms(updates: Float[Tensor, "clients params"]) -> Float64[Tensor, " clients"]:
    """L2 norm of every row."""
    readable = flat_rows(updates)
    loops = None if readable is None else gram_loops()
    if readable is None or loops is None:
        return _row_norms_by_blocks(updates)
    (flat, offsets), columns = readable, updates.shape[1]
    squares, mapped = np.zeros(len(updates)), mapping_of(updates)
    step = resident_width(updates, columns, torch.get_num_threads(), WIDTH)

    def add(row: int) -> None:
        for begin in range(0, columns, step):
            part = slice(offsets[row] + begin, offsets[row] + min(begin + step, columns))
            squares[row] = loops.squares(flat[part], WIDTH, squares[row])
            release(mapped)

    spread(add, range(len(updates)))
    return torch.from_numpy(np.sqrt(squares))


def _row_norms_by_blocks(
    updates: Float[Tensor, "clients params"],
) -> Float64[Tensor, " clients"]:
    """The same without Numba, on any device."""
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
