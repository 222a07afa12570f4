"""Coordinate-wise median and trimmed mean by a sorting network, in blocks of columns.

Sorting every column on its own is slow: a column is short and its entries lie far apart in
memory. A sorting network compares whole rows instead, so each step is two vector operations
on a block that stays in cache. The network is Batcher's merge exchange (Knuth, *The Art of
Computer Programming*, volume 3, section 5.2.2, algorithm M), and comparisons on which no
wanted row depends are left out.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from fedward.ops.blocks import column_blocks

Comparator = tuple[int, int]


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


def _ordered(
    block: Float[Tensor, "clients width"], first: int, last: int
) -> list[Float[Tensor, " width"]]:
    """Rows ``first`` to ``last`` (exclusive) of the block with every column ascending."""
    rows = list(block.clone().unbind(0))
    spare = torch.empty_like(rows[0])
    for low, high in sorting_network(len(rows), first, last):
        torch.minimum(rows[low], rows[high], out=spare)
        torch.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows[first:last]


def coordinate_median(
    updates: Float[Tensor, "clients params"],
) -> Float[Tensor, " params"]:
    """Median of every column; of an even number, the mean of the middle two (NumPy's).

    `torch.median` would return the lower of the two.
    """
    clients = len(updates)
    median = torch.empty_like(updates[0])
    start = 0
    for block in column_blocks(updates):
        middle = _ordered(block, (clients - 1) // 2, clients // 2 + 1)
        # Halved before adding: the sum of two large numbers could overflow.
        values = middle[0] if len(middle) == 1 else middle[0] / 2 + middle[1] / 2
        median[start : start + block.shape[1]] = values
        start += block.shape[1]
    return median


def trimmed_mean(
    updates: Float[Tensor, "clients params"], cut: int
) -> Float[Tensor, " params"]:
    """Mean of every column without its ``cut`` smallest and ``cut`` largest entries.

    Raises:
        ValueError: if nothing would be left.
    """
    clients = len(updates)
    if cut < 0 or 2 * cut >= clients:
        raise ValueError(
            f"trimming {cut} from either side needs more than {2 * cut} clients, "
            f"got {clients}"
        )
    mean = torch.empty_like(updates[0])
    start = 0
    for block in column_blocks(updates):
        total = torch.zeros(block.shape[1], dtype=torch.float64, device=block.device)
        for row in _ordered(block, cut, clients - cut):
            total += row
        mean[start : start + block.shape[1]] = total / (clients - 2 * cut)
        start += block.shape[1]
    return mean
