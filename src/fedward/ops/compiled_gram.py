"""Inner products of rows, compiled by Numba: sums stay in registers, rows in cache.

Imported by `distances` and `gram` when Numba is there; nothing else imports this module.

Of a Gram matrix only one of the two equal halves is computed. Every pair is summed in the
same order wherever its rows stand, so permuting rows permutes the bits and nothing else,
and equal rows have equal products.
"""

from typing import Any, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

PIECE = 512
"""Columns multiplied at a time: seven rows of them stay in the nearest cache."""

TILE = (4, 3)
"""Rows on the left and on the right: their twelve sums and what is multiplied fill 16
registers."""

loop = njit(nogil=True, cache=True)

# Sums may be regrouped into vectors; products need not be rounded before they are added.
regrouped = njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})


@loop
@no_type_check
def _square(row):
    # Four sums side by side, as PyTorch's norm has them where vectors hold four doubles.
    a = b = c = d = 0.0
    fours = len(row) // 4 * 4
    for place in range(0, fours, 4):
        wide = np.float64(row[place])
        a += wide * wide
        wide = np.float64(row[place + 1])
        b += wide * wide
        wide = np.float64(row[place + 2])
        c += wide * wide
        wide = np.float64(row[place + 3])
        d += wide * wide
    total = a + b + c + d
    for place in range(fours, len(row)):
        wide = np.float64(row[place])
        total += wide * wide
    return total


@loop
@no_type_check
def _squares(row, width, total):
    for start in range(0, len(row), width):
        total += np.sqrt(_square(row[start : start + width])) ** 2
    return total


@regrouped
@no_type_check
def _tile(wide, i, j, width, out):
    zero = wide.dtype.type(0)
    ax = ay = az = bx = by = bz = cx = cy = cz = dx = dy = dz = zero
    a, b, c, d = wide[i], wide[i + 1], wide[i + 2], wide[i + 3]
    x, y, z = wide[j], wide[j + 1], wide[j + 2]
    for k in range(width):
        left = a[k]
        ax, ay, az = ax + left * x[k], ay + left * y[k], az + left * z[k]
        left = b[k]
        bx, by, bz = bx + left * x[k], by + left * y[k], bz + left * z[k]
        left = c[k]
        cx, cy, cz = cx + left * x[k], cy + left * y[k], cz + left * z[k]
        left = d[k]
        dx, dy, dz = dx + left * x[k], dy + left * y[k], dz + left * z[k]
    sums = ((ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz))
    for row in range(4):
        for column in range(3):
            out[i + row, j + column] += np.float64(sums[row][column])


@regrouped
@no_type_check
def _tiles(wide, rows, width, out):
    for j in range(0, rows, 3):
        for i in range(0, min(j + 3, rows), 4):
            _tile(wide, i, j, width, out)


@regrouped
@no_type_check
def _shift(row, shift, out):
    for place in range(len(row)):
        out[place] = np.float64(row[place]) + np.float64(shift[place])


@regrouped
@no_type_check
def _scale(row, factor, vector, out):
    along = 0.0
    for place in range(len(row)):
        wide = np.float64(row[place])
        out[place] = wide * factor
        along += wide * np.float64(vector[place])
    return along


@regrouped
@no_type_check
def _shifted(flat, offsets, shift, begin, end, wide, out):
    for start in range(begin, end, PIECE):
        stop = min(start + PIECE, end)
        for row, offset in enumerate(offsets):
            _shift(flat[offset + start : offset + stop], shift[start:stop], wide[row])
        _tiles(wide, len(offsets), stop - start, out)


@regrouped
@no_type_check
def _scaled(flat, offsets, factors, vector, begin, end, wide, out, along):
    for start in range(begin, end, PIECE):
        stop = min(start + PIECE, end)
        for row, offset in enumerate(offsets):
            piece, part = flat[offset + start : offset + stop], vector[start:stop]
            along[row] += _scale(piece, factors[row], part, wide[row])
        _tiles(wide, len(offsets), stop - start, out)


def squares(row: Floats, width: int, total: float) -> float:
    """``total`` and the squared norms of a row's blocks of ``width``, in float64."""
    return float(_squares(row, width, total))


def _room(rows: int, dtype: type) -> tuple[Floats, NDArray[np.float64]]:
    """Pieces of all rows, and their products; the last tiles reach over the last row."""
    padded = rows + max(TILE) - 1
    return np.zeros((padded, PIECE), dtype), np.zeros((padded, padded))


def _both_halves(out: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    above = np.triu(out[:rows, :rows])
    return above + np.triu(above, 1).T


def shifted(
    flat: Floats, offsets: NDArray[np.int64], shift: Floats, begin: int, end: int
) -> NDArray[np.float64]:
    """Inner products of some columns of the rows, ``shift`` added to each, in float64.

    Args:
        flat: memory that holds the rows.
        offsets: where each row begins in it.
        shift: one number a column.
        begin: first of the columns.
        end: behind the last one.
    """
    wide, out = _room(len(offsets), np.float64)
    _shifted(flat, offsets, shift, begin, end, wide, out)
    return _both_halves(out, len(offsets))


def scaled(
    flat: Floats,
    offsets: NDArray[np.int64],
    factors: NDArray[np.float64],
    vector: Floats,
    begin: int,
    end: int,
) -> NDArray[np.float64]:
    """Inner products of the rows times ``factors``, and in a last column with a vector.

    The former in float32 within a piece of columns, the pieces in float64; the latter all
    in float64, and of the rows as they are.
    """
    wide, out = _room(len(offsets), np.float32)
    along = np.zeros(len(offsets))
    _scaled(flat, offsets, factors, vector, begin, end, wide, out, along)
    return np.column_stack([_both_halves(out, len(offsets)), along])
