"""Giving back what was read of a memory-mapped matrix.

A system keeps the pages that a process has read of a mapped file in that process's memory
until memory runs short; a matrix larger than memory would fill it at every walk. Whoever
maps a matrix says here how much of it may stay, and whoever walks over one asks.
"""

import mmap
from dataclasses import dataclass

from jaxtyping import Shaped
from torch import Tensor

WINDOW = 1 << 16
"""Bytes that Linux makes resident round one that is read, if they were written so."""


@dataclass(frozen=True)
class Mapped:
    """Addresses of a mapping of a file, and how many of its bytes may be resident."""

    begin: int
    end: int
    file: mmap.mmap
    resident: int

    def for_each(self, rows: int) -> int:
        """Bytes that may be read of each of some rows before they are released."""
        return max(0, self.resident // max(1, rows) - WINDOW)


_mapped: dict[int, Mapped] = {}


def watch(matrix: Shaped[Tensor, "rows columns"], file: mmap.mmap, resident: int) -> None:
    """Say that a matrix lies in a mapping of a file, which may be read but not written."""
    begin = matrix.data_ptr()
    _mapped[begin] = Mapped(begin, begin + matrix.nbytes, file, resident)


def forget(matrix: Shaped[Tensor, "rows columns"]) -> None:
    """Stop watching it."""
    _mapped.pop(matrix.data_ptr(), None)


def mapping_of(matrix: Shaped[Tensor, "..."]) -> Mapped | None:
    """Where a matrix, or a part of one, is mapped; None for ordinary memory."""
    address = matrix.data_ptr()
    for mapped in tuple(_mapped.values()):
        if mapped.begin <= address < mapped.end:
            return mapped
    return None


def release(mapped: Mapped | None) -> None:
    """Take the pages out of the process; what is needed again is read again."""
    # Nothing is lost: the pages are the file's. Systems without the call keep them.
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.file.madvise(mmap.MADV_DONTNEED)
