"""Mean over seeds, with what the seeds say about how far it may be off."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval ``mean ± half``.

    Attributes:
        half: None for a single value, of which nobody knows how far it is off.
        n: how many values it is the mean of.
    """

    mean: float
    half: float | None
    n: int


def interval(values: Sequence[float]) -> Interval | None:
    """Mean and 95 % t-interval, t(0.975; n - 1) s / sqrt(n); None of nothing.

    Student, *The probable error of a mean*, Biometrika 1908. It takes the values for
    independent and about normal: with few seeds it is wide, and for shares near 0 or 1 it
    may reach beyond them.
    """
    if not values:
        return None
    n = len(values)
    if n == 1:
        return Interval(values[0], None, 1)
    from scipy.special import stdtrit

    quantile = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
    return Interval(fmean(values), quantile * stdev(values) / math.sqrt(n), n)
