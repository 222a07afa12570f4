"""The point with the smallest sum of distances to the rows, as weights of the rows.

Weiszfeld's iteration never leaves the rows' affine hull, so it runs on their inner products
alone: one pass over the updates, whatever the number of iterations.
"""

from dataclasses import dataclass

from jaxtyping import Float64
from torch import Tensor

from fedward.ops.gram import distances_to_combination

SETTLED = 1e-3
"""Share of the median distance by which the point may still move when it has arrived."""


@dataclass(frozen=True)
class Weiszfeld:
    """Where the iteration ended.

    Attributes:
        weights: the median is the rows' sum with these weights, which sum to one.
        objective: sum of masses x distances, the masses summing to one.
        iterations: how many were made.
    """

    weights: Float64[Tensor, " clients"]
    objective: float
    iterations: int


def smoothed_weiszfeld(
    products: Float64[Tensor, "clients clients"],
    masses: Float64[Tensor, " clients"],
    smoothing: float,
    iterations: int,
    tolerance: float,
) -> Weiszfeld:
    """Pillutla et al., algorithm 2, from the weighted mean on.

    Args:
        products: inner products of the rows, with any common origin.
        masses: how much every row counts, not negative.
        smoothing: distances count as at least this (their nu).
        iterations: most iterations made.
        tolerance: stop when the objective falls by less than this share of it, and the
            point moves by less than `SETTLED` of the median distance.
    """
    masses = masses / masses.sum()
    weights = masses
    distances = distances_to_combination(products, weights)
    objective = float(masses @ distances)
    for made in range(1, iterations + 1):
        pull = masses / distances.clamp(min=smoothing)
        moved = pull / pull.sum() - weights
        weights = pull / pull.sum()
        distances = distances_to_combination(products, weights)
        before, objective = objective, float(masses @ distances)
        # One far row can outweigh all others in the objective, which then hardly falls
        # while the point still has far to go.
        step = float((moved @ products @ moved).clamp(min=0).sqrt())
        settled = step <= SETTLED * max(float(distances.median()), smoothing)
        if settled and before - objective <= tolerance * objective:
            return Weiszfeld(weights, objective, made)
    return Weiszfeld(weights, objective, iterations)
