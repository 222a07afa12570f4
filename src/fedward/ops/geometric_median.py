"""The point with the smallest sum of distances to the rows, as weights of the rows.

Weiszfeld's iteration never leaves the rows' affine hull, so it runs on their inner products
alone: one pass over the updates, whatever the number of iterations.
"""

from dataclasses import dataclass

from jaxtyping import Float64
from torch import Tensor

from fedward.ops.gram import distances_to_combination


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
        tolerance: stop when the objective falls by less than this share of it.
    """
    masses = masses / masses.sum()
    weights = masses
    distances = distances_to_combination(products, weights)
    objective = float(masses @ distances)
    for made in range(1, iterations + 1):
        pull = masses / distances.clamp(min=smoothing)
        weights = pull / pull.sum()
        distances = distances_to_combination(products, weights)
        before, objective = objective, float(masses @ distances)
        if before - objective <= tolerance * objective:
            return Weiszfeld(weights, objective, made)
    return Weiszfeld(weights, objective, iterations)
