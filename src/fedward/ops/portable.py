"""The loops over every entry, in NumPy alone, on blocks that stay in cache.

The reference of `compiled`, and what runs where Numba is absent.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

SPAN = 1 << 15
"""Entries of a row looked at at a time; a multiple of 8."""

PIECE = 1 << 13
"""Entries whose squares are summed at a time: beyond 10,000, OpenBLAS starts threads of its
own for every sum, which takes several times as long as the sum."""

CACHED = 1 << 15
"""Words of several rows compared at a time."""


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
    """Sign bits, largest magnitudes and zeros of a row; returns its sum of squares.

    Args:
        row: contiguous, float32 or float64.
        columns: where each layer begins, and the row's length at the end.
        places: byte of ``negative`` where each layer begins.
        every: the bits of a row without zeros.
        negative: all zero; set where an entry is negative, entry k of a layer in bit k % 8
            of byte k // 8.
        present: written if the row holds zeros, else not touched: set where there is none.
        peaks: largest magnitude of each layer, written.
        kept: entries of each layer that are not zero, written.
    """
    total, untouched = 0.0, True
    magnitudes, wide = np.empty(SPAN, row.dtype), np.empty(SPAN)
    for layer, begin in enumerate(columns[:-1]):
        end = columns[layer + 1]
        peaks[layer], kept[layer] = 0, end - begin
        for start in range(begin, end, SPAN):
            span = row[start : min(start + SPAN, end)]
            packed = np.packbits(np.signbit(span), bitorder="little")
            here = slice(place := places[layer] + (start - begin) // 8, place + len(packed))
            negative[here] = packed
            magnitude = np.abs(span, out=magnitudes[: len(span)])
            peaks[layer] = max(peaks[layer], magnitude.max())
            if magnitude.min() == 0:
                if untouched:
                    present[:], untouched = every, False
                kept[layer] -= len(span) - keep(span, 0.0, negative[here], present[here])
            wide[: len(span)] = span
            for first in range(0, len(span), PIECE):
                piece = wide[first : min(first + PIECE, len(span))]
                # Not `@`, which warns of what overflows; screening deals with that.
                total += float(np.dot(piece, piece))
    return total


def keep(
    layer: Floats, cut: float, negative: NDArray[np.uint8], present: NDArray[np.uint8]
) -> int:
    """Mark the entries whose magnitude exceeds ``cut``; returns how many there are.

    Args:
        layer: consecutive entries of one layer.
        cut: a number of the entries' own type.
        negative: sign bits of these entries; cleared where an entry is not kept.
        present: bits of the kept entries, written.
    """
    kept = 0
    for start in range(0, len(layer), SPAN):
        marks = np.abs(layer[start : start + SPAN]) > cut
        kept += int(np.count_nonzero(marks))
        packed = np.packbits(marks, bitorder="little")
        here = slice(start // 8, start // 8 + len(packed))
        present[here] = packed
        negative[here] &= packed
    return kept


def squares(
    words: NDArray[np.uint64],
    present: NDArray[np.uint64] | None,
    every: NDArray[np.uint64],
    begins: NDArray[np.int64],
    sizes: NDArray[np.int64],
    maxima: NDArray[np.float64],
    kept: NDArray[np.int64],
    first: int,
    total: NDArray[np.float64],
) -> None:
    """Squared distances of a strip of rows to all later ones, written to ``total``.

    Args:
        words: sign bits, one row a client.
        present: bits of the entries that a row holds; None if all hold every entry.
        every: the bits of a row that holds every entry.
        begins: word where each layer begins, and their number at the end.
        sizes: entries of each layer.
        maxima: largest magnitudes, (clients, layers).
        kept: entries that are held, (clients, layers).
        first: the strip's first row.
        total: zeros, (rows of the strip, clients - first); those right of the diagonal are
            written.
    """
    rows, later = total.shape
    above = np.triu(np.ones((rows, later), np.bool_), 1)
    for layer, (begin, end) in enumerate(pairwise(begins.tolist())):
        held = kept[first:, layer]
        if present is None or bool((held == sizes[layer]).all()):
            opposite = _differing(words, begin, end, first, rows)
            both = np.full((rows, later), sizes[layer])
        else:
            opposite, both = _differing_in_both(words, present, begin, end, first, rows)
        theirs = maxima[first:, layer]
        mine = theirs[:rows, None]
        together = (both - opposite) * (mine - theirs) ** 2
        together += opposite * (mine + theirs) ** 2
        alone = (held[:rows, None] - both) * mine**2 + (held - both) * theirs**2
        total += (together + alone) * above


def _differing(
    words: NDArray[np.uint64], begin: int, end: int, first: int, rows: int
) -> NDArray[np.int64]:
    """Bits in which rows differ from later ones."""
    opposite = np.zeros((rows, len(words) - first), np.int64)
    width = max(1, CACHED // len(words))
    for start in range(begin, end, width):
        block = words[first:, start : min(start + width, end)]
        for i in range(rows):
            counts = np.bitwise_count(block[i + 1 :] ^ block[i])
            opposite[i, i + 1 :] += counts.sum(axis=1, dtype=np.uint32)
    return opposite


def _differing_in_both(
    words: NDArray[np.uint64],
    present: NDArray[np.uint64],
    begin: int,
    end: int,
    first: int,
    rows: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bits in which rows differ and that both hold, and those that both hold."""
    opposite = np.zeros((rows, len(words) - first), np.int64)
    both = np.zeros_like(opposite)
    width = max(1, CACHED // len(words))
    for start in range(begin, end, width):
        here = slice(start, min(start + width, end))
        block, held = words[first:, here], present[first:, here]
        for i in range(rows):
            shared = held[i + 1 :] & held[i]
            both[i, i + 1 :] += np.bitwise_count(shared).sum(axis=1, dtype=np.uint32)
            shared &= block[i + 1 :] ^ block[i]
            opposite[i, i + 1 :] += np.bitwise_count(shared).sum(axis=1, dtype=np.uint32)
    return opposite, both


def weighted(
    flat: Floats,
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64],
    out: Floats,
    begin: int,
    end: int,
) -> None:
    """Write the weighted sum of rows to ``out[begin:end]``, rounded once from float64.

    Args:
        flat: memory that holds the rows.
        offsets: where each row begins in it.
        weights: one a row.
    """
    sums, wide = np.empty(SPAN), np.empty(SPAN)
    for start in range(begin, end, SPAN):
        stop = min(start + SPAN, end)
        total, term = sums[: stop - start], wide[: stop - start]
        total[:] = 0
        for offset, weight in zip(offsets, weights, strict=True):
            np.multiply(flat[offset + start : offset + stop], weight, out=term)
            total += term
        out[start:stop] = total
