"""What an edge tells the centre of its clients' updates, and what the centre believes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fedward.defenses.screening import NOT_FINITE, finite_rows
from fedward.layout import Layout
from fedward.ops.signatures import present_bits, signatures, usable
from fedward.protocol import Signatures, Sparsity, Verdict, packed_sizes

OPENING = 64
"""Entries of an update that go with its signature."""

IMPOSSIBLE = Verdict(accepted=False, reason="no update is as its edge reports this one")

ROUNDING = 1e-6
"""By which share norms and maxima may disagree, as sums in single precision do."""


@dataclass(frozen=True)
class EdgeReport:
    """What an edge sends before the decision.

    Attributes:
        clients: identity of every row that the edge holds.
        usable: which rows hold neither NaN nor Inf.
        signatures: of the usable rows, in their order.
        openings: first entries of the usable rows. Of clients whose distances to everybody
            agree to the bit, they say who is visited first.
    """

    clients: Int64[Tensor, " clients"]
    usable: Bool[Tensor, " clients"]
    signatures: Signatures
    openings: Float[Tensor, "usable entries"]

    @property
    def nbytes(self) -> int:
        """Bytes of everything in it."""
        signed = self.signatures
        parts = [self.clients, self.usable, self.openings, signed.norms, signed.maxima]
        parts += [
            signed.kept,
            signed.negative,
            *([] if signed.present is None else [signed.present]),
        ]
        return sum(part.nbytes for part in parts)


def edge_report(
    updates: Float[Tensor, "clients params"],
    clients: Int64[Tensor, " clients"],
    layout: Layout,
    sparsity: Sparsity = "dense",
) -> EdgeReport:
    """What an edge sends of its clients' updates."""
    usable = finite_rows(updates)
    kept = updates if usable.all() else updates[usable]
    signed = signatures(kept, layout, sparsity)
    return EdgeReport(clients, usable, signed, kept[:, :OPENING].clone())


def report_bytes(layout: Layout, clients: int, zeros: bool = False) -> int:
    """Bytes of the report of ``clients`` usable updates in single precision.

    Args:
        zeros: whether an update holds a zero, or amplification is ternary: then a second
            bit an entry says where.
    """
    packed, layers = sum(packed_sizes(layout)), len(layout.names)
    opening = 4 * min(OPENING, layout.params)
    numbers = 8 + 8 + 1  # identity, norm, usable
    return clients * (packed * (1 + zeros) + 16 * layers + opening + numbers)


@dataclass(frozen=True)
class Heard:
    """What is believed of a report.

    Attributes:
        faults: a row each; None where it is usable, and otherwise why it is not.
        signatures: of the usable rows, in their order.
        openings: first entries of the usable rows.
    """

    faults: tuple[Verdict | None, ...]
    signatures: Signatures
    openings: Float[Tensor, "usable entries"]


def hear(report: EdgeReport, layout: Layout, sparsity: Sparsity) -> Heard:
    """The rows that are what some update has, so that an edge can lie as clients can."""
    reason = next(_misfits(report, layout, sparsity), None)
    if reason is not None:
        fault = Verdict(accepted=False, reason=f"its edge's report does not fit: {reason}")
        nothing = signatures(torch.zeros(0, layout.params), layout, sparsity)
        openings = torch.zeros(0, min(OPENING, layout.params))
        return Heard((fault,) * report.usable.numel(), nothing, openings)
    good = possible(report.signatures, layout) & report.openings.isfinite().all(dim=1)
    rows = iter(good.tolist())
    faults = tuple(
        NOT_FINITE if not sent else None if next(rows) else IMPOSSIBLE
        for sent in report.usable.tolist()
    )
    return Heard(faults, report.signatures.of(good), report.openings[good])


def _misfits(report: EdgeReport, layout: Layout, sparsity: Sparsity) -> Iterator[str]:
    """What parts of a report have another shape or type than the model's."""
    signed, rows = report.signatures, int(report.usable.sum())
    layers, packed = len(layout.names), sum(packed_sizes(layout))
    wanted = {
        "usable": (report.usable, (report.usable.numel(),), torch.bool),
        "clients": (report.clients, (report.usable.numel(),), torch.int64),
        "norms": (signed.norms, (rows,), torch.float64),
        "maxima": (signed.maxima, (rows, layers), torch.float64),
        "kept": (signed.kept, (rows, layers), torch.int64),
        "signs": (signed.negative, (rows, packed), torch.uint8),
        "openings": (report.openings, (rows, min(OPENING, layout.params)), None),
    }
    if signed.present is not None:
        wanted["presence"] = (signed.present, (rows, packed), torch.uint8)
    for name, (got, shape, dtype) in wanted.items():
        if tuple(got.shape) != shape:
            yield f"{name} needs shape {shape}, got {tuple(got.shape)}"
        if not (got.is_floating_point() if dtype is None else got.dtype == dtype):
            yield f"{name} needs {dtype or 'floating point'}, got {got.dtype}"
    if signed.sparsity != sparsity:
        yield f"sparsity needs to be {sparsity!r}, got {signed.sparsity!r}"


def possible(signed: Signatures, layout: Layout) -> Bool[Tensor, " clients"]:
    """Rows that some update has: a client could have sent one that is reported so.

    Every layer's maximum is met by one of its entries and by no more than all of them, so
    the norm lies between; what is kept is what the bits say; and only a layer of zeros has
    no maximum.
    """
    sizes = torch.tensor(layout.sizes, dtype=torch.float64)
    squares = signed.maxima.square()
    least, most = squares.sum(dim=1), (squares * sizes).sum(dim=1)
    length = signed.norms.square()
    held = length >= least * (1 - ROUNDING)
    held &= (length <= most * (1 + ROUNDING)) & (signed.norms >= 0)
    held &= ((signed.maxima >= 0) & ((signed.maxima > 0) == (signed.kept > 0))).all(dim=1)
    bits = present_bits(signed, layout)
    held &= (signed.negative & ~bits == 0).all(dim=1)
    ends = accumulate(packed_sizes(layout), initial=0)
    counted = np.bitwise_count(bits.numpy())
    kept = [counted[:, a:b].sum(axis=1, dtype=np.int64) for a, b in pairwise(ends)]
    held &= (torch.from_numpy(np.stack(kept, axis=1)) == signed.kept).all(dim=1)
    return held & usable(signed)
