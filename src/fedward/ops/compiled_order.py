"""A sorting network over columns, compiled by Numba: each tile of columns stays in cache.

Imported by `order_statistics` when Numba is there; nothing else imports this module.

The numbers are compared as integers that are ordered as they are, which vector units do
without a thought for NaN, and for floats of any size alike.
"""

from typing import Any, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bits = NDArray[np.signedinteger[Any]]

TILE = 1 << 18
"""Bytes of a tile: half of a common second-level cache."""

WIDEST = 256
"""Columns of a tile at most."""


@njit(nogil=True, cache=True)
@no_type_check
def _keys(bits, every, last, out):
    # Below zero the larger magnitude is the smaller number. Doing it twice undoes it.
    for place in range(len(bits)):
        out[place] = bits[place] ^ ((bits[place] >> last) & every)


@njit(nogil=True, cache=True)
@no_type_check
def _ordered(bits, network, every, last, tile, first, out):
    width = tile.shape[1]
    for start in range(0, bits.shape[1], width):
        stop = min(start + width, bits.shape[1])
        for row in range(len(bits)):
            _keys(bits[row, start:stop], every, last, tile[row])
        for step in range(len(network)):
            low, high = tile[network[step, 0]], tile[network[step, 1]]
            for place in range(width):
                left, right = low[place], high[place]
                low[place] = min(left, right)
                high[place] = max(left, right)
        for row in range(len(out)):
            _keys(tile[first + row, : stop - start], every, last, out[row, start:stop])


def ordered(bits: Bits, network: NDArray[np.int64], first: int, last: int) -> Bits:
    """Rows ``first`` to ``last`` (exclusive) of the block with every column ascending.

    Args:
        bits: those of floating-point numbers as signed integers, contiguous.
        network: comparators that put these rows in their place.
    """
    kind = bits.dtype.type
    width = max(16, min(WIDEST, TILE // (bits.itemsize * len(bits)) // 16 * 16))
    tile = np.zeros((len(bits), width), kind)
    out = np.empty((last - first, bits.shape[1]), kind)
    sign = kind(8 * bits.itemsize - 1)
    _ordered(bits, network, kind(np.iinfo(kind).max), sign, tile, first, out)
    return out
