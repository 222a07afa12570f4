"""Signatures of updates, and the distances of amplified updates that follow from them.

A layer of an amplified update holds only -a, 0 and +a (equation 3), so its sign bits, the
maximum a, and a second set of bits where zeros occur say everything about it. One pass over
an update makes its signature, also as soon as the update arrives and before the others are
there. Distances follow from counts of differing bits, so they do not depend on the order in
which anything is added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from fedward.layout import Layout
from fedward.ops.kernels import kernels, spread
from fedward.ops.paging import mapping_of, release
from fedward.protocol import Signatures, Sparsity, packed_sizes

ROWS = (16, 64)
"""Fewest and most rows that a thread compares with all later ones at a time."""


def signatures(
    updates: Float[Tensor, "clients params"], layout: Layout, sparsity: Sparsity = "dense"
) -> Signatures:
    """Those of all rows, which are read once; twice where zeros occur, or for ternary."""
    table = SignatureTable.empty(len(updates), layout, sparsity)
    mapped = mapping_of(updates)

    def sign(row: int) -> None:
        table.write(row, updates[row])
        release(mapped)

    spread(sign, range(len(updates)))
    return table.first(len(updates))


def signature(
    update: Float[Tensor, " params"], layout: Layout, sparsity: Sparsity = "dense"
) -> Signatures:
    """That of one update, as a stack of one."""
    return signatures(update[None], layout, sparsity)


def usable(signatures: Signatures) -> Bool[Tensor, " clients"]:
    """Whose updates are finite numbers that single precision holds."""
    # A norm is NaN or infinite if an entry is; of large doubles the maxima tell.
    within = signatures.maxima.float().isfinite().all(dim=1)
    return within & signatures.norms.isfinite()


def stack(parts: Sequence[Signatures], layout: Layout) -> Signatures:
    """Signatures of several updates as one, in their order.

    Raises:
        ValueError: if there is none, or they are not of one sparsity.
    """
    kinds = sorted({part.sparsity for part in parts})
    if len(kinds) != 1:
        raise ValueError(
            f"a stack needs signatures of one sparsity, got {' and '.join(kinds) or 'none'}"
        )
    whole = all(part.present is None for part in parts)
    masks = [present_bits(part, layout) for part in parts]
    return Signatures(
        parts[0].sparsity,
        torch.cat([part.norms for part in parts]),
        torch.cat([part.maxima for part in parts]),
        torch.cat([part.kept for part in parts]),
        torch.cat([part.negative for part in parts]),
        None if whole else torch.cat(masks),
    )


def present_bits(part: Signatures, layout: Layout) -> UInt8[Tensor, "rows bytes"]:
    """Which entries are kept, as bits; not to be written to."""
    if part.present is not None:
        return part.present
    return torch.from_numpy(_every_entry(layout)).expand(len(part), -1)


@lru_cache(maxsize=4)
def _every_entry(layout: Layout) -> NDArray[np.uint8]:
    """The bits of a row in which every entry is kept; not to be written to."""
    bits = np.full(sum(packed_sizes(layout)), 0xFF, np.uint8)
    ends = accumulate(packed_sizes(layout))
    for size, packed, end in zip(layout.sizes, packed_sizes(layout), ends, strict=True):
        # At most 63 bits of a layer's last word stand for nothing.
        last = np.arange(8 * packed - 64, 8 * packed)
        bits[end - 8 : end] = np.packbits(last < size, bitorder="little")
    return bits


@dataclass(frozen=True)
class SignatureTable:
    """Room for signatures that are written one row at a time, once each if not wiped.

    ``present`` is only touched where a row holds zeros, so it costs no memory before.
    """

    layout: Layout
    sparsity: Sparsity
    norms: NDArray[np.float64]
    maxima: NDArray[np.float64]
    kept: NDArray[np.int64]
    negative: NDArray[np.uint8]
    present: NDArray[np.uint8]
    every: NDArray[np.uint8]

    @classmethod
    def empty(cls, clients: int, layout: Layout, sparsity: Sparsity) -> "SignatureTable":
        """Room for ``clients`` rows."""
        layers, packed = len(layout.names), sum(packed_sizes(layout))
        return cls(
            layout,
            sparsity,
            np.zeros(clients),
            np.zeros((clients, layers)),
            np.zeros((clients, layers), np.int64),
            np.zeros((clients, packed), np.uint8),
            np.zeros((clients, packed), np.uint8),
            _every_entry(layout),
        )

    def write(self, row: int, update: Float[Tensor, " params"]) -> None:
        """Make the signature of one update."""
        single = update.dtype in (torch.float32, torch.float64)
        entries = (update if single else update.float()).detach().contiguous().numpy()
        columns = list(accumulate(self.layout.sizes, initial=0))
        places = list(accumulate(packed_sizes(self.layout), initial=0))
        negative, present = self.negative[row], self.present[row]
        squares = kernels().scan(
            entries,
            np.array(columns),
            np.array(places),
            self.every,
            negative,
            present,
            self.maxima[row],
            self.kept[row],
        )
        self.norms[row] = np.sqrt(squares)
        if self.sparsity == "ternary":
            ranges = zip(pairwise(columns), pairwise(places), strict=True)
            for layer, ((begin, end), (first, last)) in enumerate(ranges):
                cut = _half(self.maxima[row, layer].astype(entries.dtype))
                self.kept[row, layer] = kernels().keep(
                    entries[begin:end], cut, negative[first:last], present[first:last]
                )

    def usable(self, row: int) -> bool:
        """Whether a row's update holds finite numbers that single precision holds."""
        peaks = torch.from_numpy(self.maxima[row]).float()
        return bool(np.isfinite(self.norms[row])) and bool(peaks.isfinite().all())

    def wipe(self, row: int) -> None:
        """Make a row ready to be written again."""
        self.negative[row] = 0

    def move(self, row: int, to: int) -> None:
        """Bring a row to a place where none is; its old place is ready to be written."""
        for values in (self.norms, self.maxima, self.kept, self.negative):
            values[to] = values[row]
        if (self.kept[row] < self.layout.sizes).any():
            self.present[to] = self.present[row]
        self.wipe(row)

    def first(self, rows: int) -> Signatures:
        """The signatures of the first rows, sharing memory with the table."""
        lacking = (self.kept[:rows] < self.layout.sizes).any(axis=1)
        if lacking.any():
            self.present[:rows][~lacking] = self.every
        return Signatures(
            self.sparsity,
            torch.from_numpy(self.norms[:rows]),
            torch.from_numpy(self.maxima[:rows]),
            torch.from_numpy(self.kept[:rows]),
            torch.from_numpy(self.negative[:rows]),
            torch.from_numpy(self.present[:rows]) if lacking.any() else None,
        )


def _half(peak: Any) -> float:
    """The largest number of a type that is not above half of another one.

    Half of an odd denormal is no number of its type, and would be rounded up.
    """
    half = peak / 2
    return float(half if 2 * half <= peak else np.nextafter(half, 0, dtype=peak.dtype))


def distances(signatures: Signatures, layout: Layout) -> Float64[Tensor, "clients clients"]:
    """Euclidean distances of the amplified updates.

    For one layer with maxima a_i, a_j, of which n entries are kept by both, h of these with
    opposite signs, and u_i, u_j entries kept by only one of the two::

        d^2 += (n - h) (a_i - a_j)^2 + h (a_i + a_j)^2 + (u_i a_i^2 + u_j a_j^2)

    The counts are exact, and nothing cancels: every term is a square times a count.
    Swapping i and j gives the same bits. Beside the result it needs a few of its rows.
    """
    clients = len(signatures)
    squares = np.zeros((clients, clients))
    height = min(max(ROWS[0], clients // 8), ROWS[1])
    present = signatures.present
    words = signatures.negative.numpy().view(np.uint64)
    held = None if present is None else present.numpy().view(np.uint64)
    every = _every_entry(layout).view(np.uint64)
    begins = np.array([0, *accumulate(packed_sizes(layout))]) // 8
    sizes = np.array(layout.sizes)
    maxima, kept = signatures.maxima.numpy(), signatures.kept.numpy()

    def compare(first: int) -> None:
        strip = squares[first : first + height, first:]
        kernels().squares(words, held, every, begins, sizes, maxima, kept, first, strip)
        # In one piece, the strip's own square would be added to while it is read.
        squares[first + height :, first : first + height] = strip[:, height:].T
        square = strip[:, :height]
        square += square.T.copy()

    spread(compare, range(0, clients, height))
    return torch.from_numpy(np.sqrt(squares, out=squares))
