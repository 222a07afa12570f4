"""Median and trimmed mean: every coordinate on its own.

Yin et al., *Byzantine-robust distributed learning: Towards optimal statistical rates*,
ICML 2018, algorithm 1, https://arxiv.org/abs/1803.01498.
"""

import math
from typing import ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from fedward.defenses.screening import screened
from fedward.ops.distances import row_norms
from fedward.ops.order_statistics import coordinate_median, trimmed_mean
from fedward.protocol import Aggregation, Round, Verdict
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Median:
    """Median of every coordinate (definition 1), unweighted.

    Of an even number of clients it is the mean of the middle two, as in NumPy.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Coordinate-wise median of the rows; shape (params,)."""
        return Aggregation(
            update=coordinate_median(round.updates),
            verdicts=_all_used(round, "the median of every coordinate is taken"),
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrimmedMean:
    """Mean of every coordinate without its extremes (definition 2), unweighted.

    The paper needs ``beta`` to be at least the share of attackers; the default is that of
    the Fedward paper's comparison, which of ten clients drops one on either side.

    Attributes:
        beta: share of the clients that is dropped on either side, rounded down.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    beta: float = Field(default=0.1, ge=0, lt=0.5)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Coordinate-wise trimmed mean of the rows; shape (params,)."""
        # 0.29 x 100 is 28.999999999999996: the share that was meant drops 29.
        clients = len(round.updates)
        cut = min(math.floor(self.beta * clients + 1e-9), (clients - 1) // 2)
        return Aggregation(
            update=trimmed_mean(round.updates, cut),
            verdicts=_all_used(round, "the extremes of every coordinate are dropped"),
            facts={"cut": float(cut)},
        )


def _all_used(round: Round, reason: str) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(accepted=True, reason=reason, norm=norm)
        for norm in row_norms(round.updates).tolist()
    )
