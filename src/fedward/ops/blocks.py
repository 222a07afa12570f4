"""Walking over the columns of a matrix that may be larger than memory."""

from collections.abc import Iterator

from jaxtyping import Shaped
from torch import Tensor

WIDTH = 1 << 18
"""Columns of a block: a row's block (1 MiB in float32) stays in a core's cache."""


def column_blocks(
    matrix: Shaped[Tensor, "rows columns"], width: int = WIDTH
) -> Iterator[Shaped[Tensor, "rows width"]]:
    """Views of consecutive columns; the last may be narrower."""
    for start in range(0, matrix.shape[1], width):
        yield matrix[:, start : start + width]
