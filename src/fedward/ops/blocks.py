"""Walking over the columns of a matrix that may be larger than memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from fedward.ops.paging import mapping_of, release

WIDTH = 1 << 14
"""Columns of a block on a CPU: 40 rows of it stay in cache even as float64 copies."""

ACCELERATOR_WIDTH = 1 << 18
"""Columns of a block elsewhere, where starting an operation costs more than its memory."""


def column_blocks(
    matrix: Shaped[Tensor, "rows columns"], width: int | None = None
) -> Iterator[Shaped[Tensor, "rows width"]]:
    """Views of consecutive columns; the last may be narrower.

    Of a matrix that is watched (`fedward.ops.paging`) no more stays than is allowed to.
    """
    if width is None:
        width = WIDTH if matrix.device.type == "cpu" else ACCELERATOR_WIDTH
    mapped, read = mapping_of(matrix), 0
    for start in range(0, matrix.shape[1], width):
        block = matrix[:, start : start + width]
        if mapped is not None:
            read += block.shape[1] * block.itemsize
            if read > mapped.for_each(len(matrix)):
                release(mapped)
                read = block.shape[1] * block.itemsize
        yield block
    release(mapped)


def paired_blocks(
    left: Shaped[Tensor, " columns"], right: Shaped[Tensor, " columns"]
) -> Iterator[tuple[Shaped[Tensor, " width"], Shaped[Tensor, " width"]]]:
    """Views of the same columns of two rows, released as in `column_blocks`."""
    mapped, read = mapping_of(left), 0
    pairs = zip(torch.split(left, WIDTH), torch.split(right, WIDTH), strict=True)
    for mine, theirs in pairs:
        if mapped is not None:
            read += mine.nbytes
            if read > mapped.for_each(2):
                release(mapped)
                read = mine.nbytes
        yield mine, theirs
    release(mapped)


def gathered(
    matrix: Shaped[Tensor, "rows columns"], columns: Int64[Tensor, " chosen"]
) -> Shaped[Tensor, "rows chosen"]:
    """A copy of some columns, in their order; a watched matrix is read block by block."""
    if mapping_of(matrix) is None:
        return matrix[:, columns.to(matrix.device)]
    chosen, start = matrix.new_empty(len(matrix), len(columns)), 0
    for block in column_blocks(matrix):
        end = start + block.shape[1]
        inside = ((columns >= start) & (columns < end)).nonzero().flatten()
        chosen[:, inside] = block[:, columns[inside] - start]
        start = end
    return chosen


def flat_rows(
    matrix: Float[Tensor, "rows columns"],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64]] | None:
    """The memory that rows lie in, and where in it each begins.

    None if loops cannot read it: not single or double precision, a row not in one piece, or
    no row at all.
    """
    readable = matrix.dtype in (torch.float32, torch.float64) and matrix.stride(1) == 1
    if matrix.device.type != "cpu" or not readable or not len(matrix):
        return None
    columns, stride = matrix.shape[1], matrix.stride(0)
    flat = matrix.detach().as_strided(((len(matrix) - 1) * stride + columns,), (1,))
    return flat.numpy(), np.arange(len(matrix)) * stride


def resident_width(
    matrix: Shaped[Tensor, "rows columns"], width: int, readers: int, multiple: int
) -> int:
    """Columns to read before `release`: ``width`` of ordinary memory, a mapped one's fewer.

    Args:
        readers: rows that are read at the same time, by all threads.
        multiple: what the result is a multiple of if it is less than ``width``.
    """
    mapped = mapping_of(matrix)
    if mapped is None:
        return width
    allowed = mapped.for_each(readers) // matrix.itemsize
    return min(width, max(1, allowed // multiple) * multiple)
