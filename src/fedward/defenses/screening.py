"""No defence sees a row that is not a number, and none decides on too few rows."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from itertools import repeat
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedward.ops.blocks import column_blocks
from fedward.ops.distances import row_norms
from fedward.ops.signatures import usable as usable_signatures
from fedward.protocol import Aggregation, Defense, Round, Verdict, hold

D = TypeVar("D", bound=Defense)

NOT_FINITE = Verdict(accepted=False, reason="the update holds NaN or Inf")
NO_COUNT = Verdict(accepted=False, reason="its sample count is no number of samples")


def finite_rows(
    updates: Float[Tensor, "clients params"],
) -> Bool[Tensor, " clients"]:
    """Rows without NaN or Inf, read in blocks of columns.

    Numbers beyond single precision count as Inf: their squares could overflow float64, and
    one such row would turn every distance into NaN.
    """
    if updates.dtype == torch.float32 and updates.device.type == "cpu":
        # No sum of squares of single precision overflows float64, so the norm tells.
        return row_norms(updates).isfinite()
    finite = torch.ones(len(updates), dtype=torch.bool)
    for block in map(Tensor.float, column_blocks(updates)):
        # NaN and Inf survive a sum, which is many times quicker than looking at each entry;
        # a sum of large numbers may overflow, so what it suspects is looked at.
        suspects = (~block.sum(dim=1).isfinite()).nonzero().flatten()
        finite[suspects.cpu()] &= block[suspects].isfinite().all(dim=1).cpu()
    return finite


def screened(
    decide: Callable[[D, Round], Aggregation],
) -> Callable[[D, Round], Aggregation]:
    """Decide on the usable rows only; the others get a verdict that says why.

    With fewer usable rows than the defence needs, the round is held. A defence with an
    option ``weighted`` that is on uses nobody whose sample count is no number of samples.
    """

    @wraps(decide)
    def call(self: D, round: Round) -> Aggregation:
        signed = round.signatures
        finite = finite_rows(round.updates) if signed is None else usable_signatures(signed)
        usable, reason = finite, None
        if getattr(self, "weighted", False):
            usable = finite & (round.weights.isfinite() & (round.weights >= 0)).cpu()
            if not (round.weights.cpu() * usable).any():
                reason = f"{type(self).__name__} needs a client that trained on something"
        count = int(usable.sum())
        if count < self.needs:
            name = type(self).__name__
            reason = f"{name} needs at least {self.needs} usable updates, got {count}"
        if reason is not None:
            waiting = Verdict(accepted=False, reason=reason)
            return hold(round, reason, _told(finite, usable, repeat(waiting)))
        if usable.all():
            return decide(self, round)
        kept = replace(
            round,
            updates=round.updates[usable],
            weights=round.weights[usable],
            clients=round.clients[usable],
            signatures=None if signed is None else signed.of(usable),
        )
        decided = decide(self, kept)
        verdicts = _told(finite, usable, iter(decided.verdicts))
        return replace(decided, verdicts=verdicts)

    return call


def _told(
    finite: Bool[Tensor, " clients"],
    usable: Bool[Tensor, " clients"],
    others: Iterator[Verdict],
) -> tuple[Verdict, ...]:
    """A verdict a row: why it is not usable, or the next of the others."""
    return tuple(
        next(others) if ok else NO_COUNT if number else NOT_FINITE
        for number, ok in zip(finite.tolist(), usable.tolist(), strict=True)
    )
