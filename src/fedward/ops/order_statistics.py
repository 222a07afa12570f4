"""Coordinate-wise median and trimmed mean by a sorting network, in blocks of columns.

Sorting every column on its own is slow: a column is short and its entries lie far apart in
memory. A sorting network compares whole rows instead, so each step is two vector operations
on a block that stays in cache. The network is Batcher's merge exchange (Knuth, *The Art of
Computer Programming*, volume 3, section 5.2.2, algorithm M), and comparisons on which no
wanted row depends are left out.

NaN is screened out before (`fedward.defenses.screening`); where it is not, what comes out
for its column is undefined.
"""

import logging
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from fedward.ops.blocks import ACCELERATOR_WIDTH, WIDTH
from fedward.ops.kernels import spread
from fedward.ops.paging import mapping_of, release

log = logging.getLogger(__name__)

Comparator = tuple[int, int]

BLOCK = 1 << 22
"""Entries of a block of columns at most: 16 MiB of float32."""

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Integers as wide as a floating-point type."""


@lru_cache(maxsize=32)
def sorting_network(
    rows: int, first: int = 0, last: int | None = None
) -> tuple[Comparator, ...]:
    """Comparators (i, j), i < j, that put the smaller of two rows into row i.

    After all of them rows ``first`` to ``last`` (exclusive) hold what sorting would put
    there; other rows hold the remaining values in some order.
    """
    wanted = set(range(first, rows if last is None else last))
    kept = []
    for low, high in reversed(_merge_exchange(rows)):
        if low in wanted or high in wanted:
            wanted |= {low, high}
            kept.append((low, high))
    return tuple(reversed(kept))


def _merge_exchange(rows: int) -> list[Comparator]:
    """Algorithm M with Knuth's names: p, q, r and d of step M1 to M5."""
    top = 1 << max((rows - 1).bit_length() - 1, 0)
    network = []
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            network += [(i, i + d) for i in range(rows - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return network


@lru_cache(maxsize=32)
def _as_array(rows: int, first: int, last: int) -> NDArray[np.int64]:
    network = sorting_network(rows, first, last)
    return np.array(network, np.int64).reshape(-1, 2)


@cache
def _compiled() -> Callable[[Any, NDArray[np.int64], int, int], Any] | None:
    """Numba's network, or None where Numba cannot be loaded."""
    try:
        from fedward.ops.compiled_order import ordered
    except (ImportError, RuntimeError) as failure:  # Numba finds no folder for its cache
        log.info("columns are sorted by NumPy; the extra 'speed' is faster (%s)", failure)
        return None
    return ordered


def _ordered(
    block: Float[Tensor, "clients width"], first: int, last: int
) -> Float[Tensor, "rows width"]:
    """Rows ``first`` to ``last`` (exclusive) of the block with every column ascending."""
    compiled = _compiled() if block.device.type == "cpu" else None
    if compiled is None:
        return _exchanged(block, first, last)
    bits = block.detach().contiguous().view(BITS[block.itemsize]).numpy()
    found = compiled(bits, _as_array(len(block), first, last), first, last)
    return torch.from_numpy(found).view(block.dtype)


def _exchanged(
    block: Float[Tensor, "clients width"], first: int, last: int
) -> Float[Tensor, "rows width"]:
    """The same without Numba, on any device."""
    held = torch.empty(
        len(block) + 1, block.shape[1], dtype=block.dtype, device=block.device
    )
    held[:-1] = block
    rows: list[Any] = list(held)
    smaller: Callable[..., Any] = torch.minimum
    larger: Callable[..., Any] = torch.maximum
    if block.device.type == "cpu" and block.dtype in (torch.float32, torch.float64):
        # NumPy needs a third of the time to start an operation.
        rows, smaller, larger = list(held.numpy()), np.minimum, np.maximum
    spare = rows.pop()
    for low, high in sorting_network(len(rows), first, last):
        smaller(rows[low], rows[high], out=spare)
        larger(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return torch.stack([torch.as_tensor(row) for row in rows[first:last]])


def _by_columns(
    updates: Float[Tensor, "clients params"],
    statistic: Callable[[Tensor], Tensor],
) -> Float[Tensor, " params"]:
    """A statistic of every column, a block of them a thread at a time."""
    clients, params = updates.shape
    out = torch.empty_like(updates[0])
    cpu = updates.device.type == "cpu"
    width = max(1, min(WIDTH if cpu else ACCELERATOR_WIDTH, BLOCK // clients))
    mapped = mapping_of(updates)

    def fill(start: int) -> None:
        out[start : start + width] = statistic(updates[:, start : start + width])
        release(mapped)

    spread(fill, range(0, params, width))
    return out


def coordinate_median(
    updates: Float[Tensor, "clients params"],
) -> Float[Tensor, " params"]:
    """Median of every column; of an even number, the mean of the middle two (NumPy's).

    `torch.median` would return the lower of the two.
    """
    first, last = (len(updates) - 1) // 2, len(updates) // 2 + 1

    def median(block: Tensor) -> Tensor:
        middle = _ordered(block, first, last)
        # Halved before adding, since the sum of two large numbers could overflow, and in
        # float64, since a precision has no half of its smallest number.
        if len(middle) == 1:
            return middle[0]
        return middle[0].double().div_(2).add_(middle[1], alpha=0.5)

    return _by_columns(updates, median)


def trimmed_mean(
    updates: Float[Tensor, "clients params"], cut: int
) -> Float[Tensor, " params"]:
    """Mean of every column without its ``cut`` smallest and ``cut`` largest entries.

    Summed in float64, smallest first, and rounded once.

    Raises:
        ValueError: if nothing would be left.
    """
    clients = len(updates)
    if cut < 0 or 2 * cut >= clients:
        raise ValueError(
            f"trimming {cut} from either side needs more than {2 * cut} clients, "
            f"got {clients}"
        )

    def mean(block: Tensor) -> Tensor:
        total = torch.zeros(block.shape[1], dtype=torch.float64, device=block.device)
        for row in _ordered(block, cut, clients - cut):
            total += row
        return total / (clients - 2 * cut)

    return _by_columns(updates, mean)
