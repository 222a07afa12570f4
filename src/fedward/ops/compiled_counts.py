"""Distances from packed signs, compiled by Numba: what `portable.squares` does.

Imported by `compiled`; what it counts is exact, so the order of counting does not matter.
"""

from typing import no_type_check

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fedward.ops.intrinsics import ones

WORDS = 512
"""Words of rows that are compared before the next ones: 20 KiB of five rows stay in the
nearest cache, and those of a hundred rows in the next."""

FEW = 1 / 16
"""Zeros a word, on average, up to which each is dealt with on its own."""

loop = njit(nogil=True, cache=True)


@loop
@no_type_check
def _differing_words(left, right):
    count = np.uint64(0)
    for word in range(len(left)):
        count += ones(left[word] ^ right[word])
    return count


@loop
@no_type_check
def _differing_from_four(a, b, c, d, other):
    # What is compared with four rows is fetched once.
    of_a = of_b = of_c = of_d = np.uint64(0)
    for word in range(len(other)):
        bits = other[word]
        of_a += ones(a[word] ^ bits)
        of_b += ones(b[word] ^ bits)
        of_c += ones(c[word] ^ bits)
        of_d += ones(d[word] ^ bits)
    return of_a, of_b, of_c, of_d


@loop
@no_type_check
def _differing(words, begin, end, first, opposite):
    rows, later = opposite.shape
    fours = rows // 4 * 4
    for start in range(begin, end, WORDS):
        stop = min(start + WORDS, end)
        for i in range(0, fours, 4):
            a, b = words[first + i, start:stop], words[first + i + 1, start:stop]
            c, d = words[first + i + 2, start:stop], words[first + i + 3, start:stop]
            opposite[i, i + 1] += _differing_words(a, b)
            opposite[i, i + 2] += _differing_words(a, c)
            opposite[i, i + 3] += _differing_words(a, d)
            opposite[i + 1, i + 2] += _differing_words(b, c)
            opposite[i + 1, i + 3] += _differing_words(b, d)
            opposite[i + 2, i + 3] += _differing_words(c, d)
            for j in range(i + 4, later):
                other = words[first + j, start:stop]
                of_a, of_b, of_c, of_d = _differing_from_four(a, b, c, d, other)
                opposite[i, j] += of_a
                opposite[i + 1, j] += of_b
                opposite[i + 2, j] += of_c
                opposite[i + 3, j] += of_d
        for i in range(fours, rows):
            left = words[first + i, start:stop]
            for j in range(i + 1, later):
                opposite[i, j] += _differing_words(left, words[first + j, start:stop])


@loop
@no_type_check
def _differing_words_in_both(left, right, held, other):
    count = shared = np.uint64(0)
    for word in range(len(left)):
        both = held[word] & other[word]
        shared += ones(both)
        count += ones((left[word] ^ right[word]) & both)
    return count, shared


@loop
@no_type_check
def _differing_in_both(words, present, begin, end, first, opposite, both):
    for start in range(begin, end, WORDS):
        stop = min(start + WORDS, end)
        for i in range(len(opposite)):
            left, held = words[first + i, start:stop], present[first + i, start:stop]
            for j in range(i + 1, len(words) - first):
                right, other = words[first + j, start:stop], present[first + j, start:stop]
                count, shared = _differing_words_in_both(left, right, held, other)
                opposite[i, j] += count
                both[i, j] += shared


@loop
@no_type_check
def _absences(words, present, every, begin, end, first, opposite, both):
    """Correct counts that took every absent entry for a positive one that is there.

    What two rows both lack was taken away for each of them, and is given back once.
    """
    strip = len(opposite)
    for row in range(len(words) - first):
        for word in range(begin, end):
            absent = present[first + row, word] ^ every[word]
            while absent:
                lowest = absent & (~absent + np.uint64(1))
                absent ^= lowest
                for i in range(min(strip, row)):
                    if words[first + i, word] & lowest:
                        opposite[i, row] -= 1
                    if not present[first + i, word] & lowest:
                        both[i, row] += 1
                if row < strip:
                    for j in range(row + 1, len(words) - first):
                        if words[first + j, word] & lowest:
                            opposite[row, j] -= 1


@loop
@no_type_check
def _squares(words, present, every, begins, sizes, maxima, kept, first, total):
    rows, later = total.shape
    opposite, both = np.empty((rows, later), np.int64), np.empty((rows, later), np.int64)
    for layer in range(len(sizes)):
        begin, end, size = begins[layer], begins[layer + 1], sizes[layer]
        opposite[:] = 0
        lacking = size * later - kept[first:, layer].sum()
        if lacking > (end - begin) * later * FEW:
            both[:] = 0
            _differing_in_both(words, present, begin, end, first, opposite, both)
        else:
            for i in range(rows):
                for j in range(later):
                    both[i, j] = kept[first + i, layer] + kept[first + j, layer] - size
            _differing(words, begin, end, first, opposite)
            if lacking:
                _absences(words, present, every, begin, end, first, opposite, both)
        for i in range(rows):
            for j in range(i + 1, later):
                mine, theirs = maxima[first + i, layer], maxima[first + j, layer]
                together = np.float64(both[i, j] - opposite[i, j]) * (mine - theirs) ** 2
                together += np.float64(opposite[i, j]) * (mine + theirs) ** 2
                alone = np.float64(kept[first + i, layer] - both[i, j]) * mine**2
                alone += np.float64(kept[first + j, layer] - both[i, j]) * theirs**2
                total[i, j] += together + alone


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
    """See `portable.squares`."""
    # Without zeros nobody looks at it, but Numba wants an array.
    held = words if present is None else present
    _squares(words, held, every, begins, sizes, maxima, kept, first, total)
