"""Walking over the columns of a matrix that may be larger than memory."""

from collections.abc import Iterator

from jaxtyping import Shaped
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
