"""The loops over every entry, compiled by Numba: what `portable` does, at memory speed.

Imported by `kernels` when Numba is there; nothing else imports this module. Compilation
takes seconds the first time and is kept on disk, beside the source or in the user's cache.

Signs, largest and smallest magnitudes are taken from the bits of the numbers, so that
denormals, negative zeros and NaN cannot depend on a processor's mode.
"""

from typing import Any, no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fedward.ops.compiled_counts import squares as squares
from fedward.ops.intrinsics import ask_for, eight_beyond, magnitude_of, ones, signs_of_eight

Floats = NDArray[np.floating[Any]]

SPAN = 256
"""Entries looked at three times while they are in the nearest cache; a multiple of 8."""

AHEAD = 1024
"""Entries further on that memory is asked for meanwhile: 18 GB/s a core in place of 11."""

LINE = 64
"""Bytes that memory hands over at a time."""

COLUMNS = 4096
"""Columns summed at a time: their float64 sums stay in cache."""

loop = njit(nogil=True, cache=True)

# Sums may be regrouped into vectors; NaN and Inf keep their meaning.
regrouped = njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})


@loop
@no_type_check
def _pack_signs(bits, packed):
    whole = len(bits) // 8
    for byte in range(whole):
        packed[byte] = signs_of_eight(bits, byte * 8)
    for place in range(whole * 8, len(bits)):
        if bits[place] < 0:
            packed[whole] |= np.uint8(1 << (place % 8))


@loop
@no_type_check
def _extremes(bits):
    largest = smallest = magnitude_of(bits[0])
    for place in range(len(bits)):
        magnitude = magnitude_of(bits[place])
        largest = max(largest, magnitude)
        smallest = min(smallest, magnitude)
    return largest, smallest


@regrouped
@no_type_check
def _sum_of_squares(row):
    total = 0.0
    for place in range(len(row)):
        wide = np.float64(row[place])
        total += wide * wide
    return total


@loop
@no_type_check
def _keep(bits, cut, negative, present):
    kept, whole = 0, len(bits) // 8
    for byte in range(whole):
        marks = eight_beyond(bits, byte * 8, cut)
        present[byte] = marks
        negative[byte] &= marks
        kept += ones(marks)
    if whole * 8 < len(bits):
        marks = np.uint8(0)
        for place in range(whole * 8, len(bits)):
            if magnitude_of(bits[place]) > cut:
                marks |= np.uint8(1 << (place % 8))
        present[whole] = marks
        negative[whole] &= marks
        kept += ones(marks)
    return kept


@loop
@no_type_check
def _scan(row, bits, columns, places, every, negative, present, largest, kept):
    total, untouched = 0.0, True
    for layer in range(len(largest)):
        begin, end = columns[layer], columns[layer + 1]
        largest[layer] = 0
        kept[layer] = end - begin
        for start in range(begin, end, SPAN):
            stop = min(start + SPAN, end)
            span = bits[start:stop]
            for place in range(start + AHEAD, stop + AHEAD, LINE // row.itemsize):
                ask_for(row, place)
            here = places[layer] + (start - begin) // 8
            _pack_signs(span, negative[here:])
            most, least = _extremes(span)
            largest[layer] = max(largest[layer], most)
            total += _sum_of_squares(row[start:stop])
            if least == 0:
                if untouched:
                    present[:] = every
                    untouched = False
                kept[layer] -= len(span) - _keep(span, 0, negative[here:], present[here:])
    return total


def scan(
    row: Floats,
    columns: NDArray[np.int64],
    places: NDArray[np.int64],
    every: NDArray[np.uint8],
    negative: NDArray[np.uint8],
    present: NDArray[np.uint8],
    peaks: NDArray[np.float64],
    kept: NDArray[np.int64],
) -> float:
    """See `portable.scan`."""
    bits = row.view(f"i{row.itemsize}")
    largest = np.empty(len(peaks), bits.dtype)
    total = _scan(row, bits, columns, places, every, negative, present, largest, kept)
    peaks[:] = largest.view(row.dtype)
    return float(total)


def keep(
    layer: Floats, cut: float, negative: NDArray[np.uint8], present: NDArray[np.uint8]
) -> int:
    """See `portable.keep`."""
    bits = layer.view(f"i{layer.itemsize}")
    limit = int(np.array(cut, layer.dtype).view(bits.dtype))
    return int(_keep(bits, limit, negative, present))


@loop
@no_type_check
def _add_one(sums, row, weight):
    for place in range(len(sums)):
        sums[place] += weight * np.float64(row[place])


@loop
@no_type_check
def _add_four(sums, first, second, third, fourth, weights):
    # One row after the other, so that the bits are those of `_add_one` four times.
    for place in range(len(sums)):
        total = sums[place]
        total += weights[0] * np.float64(first[place])
        total += weights[1] * np.float64(second[place])
        total += weights[2] * np.float64(third[place])
        total += weights[3] * np.float64(fourth[place])
        sums[place] = total


@loop
@no_type_check
def _weighted(flat, offsets, weights, out, begin, end):
    space = np.empty(COLUMNS)
    fours = len(offsets) // 4 * 4
    for start in range(begin, end, COLUMNS):
        stop = min(start + COLUMNS, end)
        sums = space[: stop - start]
        sums[:] = 0
        for k in range(0, fours, 4):
            a, b, c, d = offsets[k], offsets[k + 1], offsets[k + 2], offsets[k + 3]
            _add_four(
                sums,
                flat[a + start : a + stop],
                flat[b + start : b + stop],
                flat[c + start : c + stop],
                flat[d + start : d + stop],
                weights[k : k + 4],
            )
        for k in range(fours, len(offsets)):
            _add_one(sums, flat[offsets[k] + start : offsets[k] + stop], weights[k])
        for place in range(len(sums)):
            out[start + place] = sums[place]


def weighted(
    flat: Floats,
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64],
    out: Floats,
    begin: int,
    end: int,
) -> None:
    """See `portable.weighted`."""
    _weighted(flat, offsets, weights, out, begin, end)
