"""The middle of more numbers than one wants to hold at once."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

HELD = 1 << 21
"""Numbers that are held and sorted; of more, only those of the middle's own digits."""

DIGIT = 16
"""Bits by which a pass narrows the middle down."""


def middle_two(
    blocks: Callable[[], Iterable[NDArray[np.float64]]], count: int
) -> tuple[float, float]:
    """The two numbers in the middle of ``count``; the same one twice if that is odd.

    Args:
        blocks: hands over the same numbers at every call, in contiguous blocks; not
            negative, so that they are ordered as their bits are. There are at most five
            passes, and three where the numbers are not adversarial.
        count: how many there are; at least one.
    """
    lower, upper = (count - 1) // 2, count // 2
    prefix, shift, below, inside = 0, 63, 0, count
    while inside > HELD and shift > 0:
        finer = max(shift - DIGIT, 0)
        tally = np.zeros(1 << (shift - finer), np.int64)
        for bits in map(_bits, blocks()):
            digits = (bits[bits >> shift == prefix] >> finer) - (prefix << (shift - finer))
            tally += np.bincount(digits, minlength=len(tally))
        digit = int(np.searchsorted(below + tally.cumsum(), lower, side="right"))
        below += int(tally[:digit].sum())
        inside = int(tally[digit])
        prefix, shift = (prefix << (shift - finer)) | digit, finer
    held, above = [], np.iinfo(np.int64).max
    for bits in map(_bits, blocks()):
        places = bits >> shift
        # Without a shift all of them are the prefix itself, however many there are.
        held.append(bits[places == prefix][: None if shift else 2])
        above = min(above, bits[places > prefix].min(initial=above))
    found = np.sort(np.concatenate(held))
    if shift == 0:
        ends = (prefix, prefix if upper < below + inside else above)
    else:
        ends = (
            found[lower - below],
            found[upper - below] if upper < below + inside else above,
        )
    low, high = np.array(ends, np.int64).view(np.float64).tolist()
    return low, high


def _bits(block: NDArray[np.float64]) -> NDArray[np.int64]:
    return block.reshape(-1).view(np.int64)
