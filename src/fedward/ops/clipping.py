"""Bounding the norm of updates (equation 4 and algorithm 1, lines 12 to 16)."""

import math
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

ClipRule = Literal["sorted", "unsorted", "median", "none"]


def clip_bound(norms: Float64[Tensor, " clients"], accepted: int, rule: ClipRule) -> float:
    """The bound for a group of ``accepted`` clients, from the norms of all clients.

    * ``sorted``: the ``accepted``-th smallest norm.
    * ``unsorted``: the ``accepted``-th norm as they stand; depends on the clients' order.
    * ``median``: the median of all norms, as FLAME has it.
    * ``none``: infinite.

    Raises:
        ValueError: if ``accepted`` is not between 1 and the number of clients.
    """
    if not 1 <= accepted <= len(norms):
        raise ValueError(
            f"the clip bound needs 1 <= accepted <= {len(norms)} clients, got {accepted}"
        )
    if rule == "sorted":
        return float(norms.sort().values[accepted - 1])
    if rule == "unsorted":
        return float(norms[accepted - 1])
    if rule == "median":
        return float(norms.quantile(0.5))
    return math.inf


def clip_factors(
    norms: Float64[Tensor, " clients"], bound: float
) -> Float64[Tensor, " clients"]:
    """1 / max(1, norm / bound), safe for zero norms and a zero bound."""
    return torch.where(norms > bound, bound / norms, torch.ones_like(norms))
