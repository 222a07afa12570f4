"""Amplified magnitude sparsification (AmGrad), equation 3 of the Fedward paper.

Every entry of a layer becomes its sign times the largest magnitude of the layer, so that a
poisoned change which is small everywhere still shows in full wherever it turns a sign.

A layer of an amplified update holds only -a, 0 and +a. So the distance between two clients
follows from the two maxima and from counts of agreeing and differing signs, and the
amplified matrix need not be made to cluster it.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from fedward.layout import Layout
from fedward.ops.blocks import column_blocks
from fedward.protocol import Sparsity as Sparsity


def layer_maxima(
    updates: Float[Tensor, "clients params"], layout: Layout
) -> Float[Tensor, "clients layers"]:
    """Largest magnitude of every layer."""
    return torch.stack(
        [
            torch.linalg.vector_norm(updates[:, columns], ord=float("inf"), dim=1)
            for columns in layout.slices
        ],
        dim=1,
    )


def signs(
    block: Float[Tensor, "clients columns"],
    maxima: Float[Tensor, " clients"],
    sparsity: Sparsity,
) -> Float[Tensor, "clients columns"]:
    """-1, 0 or +1 for every entry of one layer's block; sign(0) and sign(-0) are 0.

    A tie at exactly half of the maximum becomes 0 in the ternary form.
    """
    if sparsity == "dense":
        return block.sign()
    # Twice the magnitude is exact; half of the smallest denormal is not.
    return block.sign() * (2 * block.abs() > maxima[:, None])


def amgrad(
    updates: Float[Tensor, "clients params"], layout: Layout, sparsity: Sparsity = "dense"
) -> Float[Tensor, "clients params"]:
    """The amplified updates (equation 3); an all-zero layer stays zero."""
    maxima = layer_maxima(updates, layout)
    amplified = torch.empty_like(updates)
    for layer, columns in enumerate(layout.slices):
        peaks = maxima[:, layer]
        amplified[:, columns] = signs(updates[:, columns], peaks, sparsity) * peaks[:, None]
    return amplified


def amgrad_distances(
    updates: Float[Tensor, "clients params"], layout: Layout, sparsity: Sparsity = "dense"
) -> Float64[Tensor, "clients clients"]:
    """Euclidean distances of the amplified updates, without making them, on any device.

    On a CPU `fedward.ops.signatures` answers the same many times faster.

    For one layer with maxima a_i, a_j, s entries of equal sign, h of opposite signs, and
    u_i, u_j entries where only one of the two is not zero::

        d^2 += s (a_i - a_j)^2 + h (a_i + a_j)^2 + (u_i a_i^2 + u_j a_j^2)

    The counts come from products of sign matrices; a block has fewer than 2^24 columns, so
    float32 holds them exactly. Nothing cancels: every term is a square times a count.
    """
    maxima = layer_maxima(updates, layout)
    squares = torch.zeros(len(updates), len(updates), dtype=torch.float64)
    for layer, columns in enumerate(layout.slices):
        balance, both = _sign_counts(updates[:, columns], maxima[:, layer], sparsity)
        peaks = maxima[:, layer].double().cpu()
        alone = (both.diagonal()[:, None] - both) * peaks.square()[:, None]
        difference = (peaks[:, None] - peaks).square()
        total = (peaks[:, None] + peaks).square()
        # Written so that swapping i and j gives the same bits: permuting clients must not
        # change a distance.
        squares += (both + balance) / 2 * difference + (both - balance) / 2 * total
        squares += alone + alone.T
    return squares.sqrt()


def _sign_counts(
    layer: Float[Tensor, "clients columns"],
    maxima: Float[Tensor, " clients"],
    sparsity: Sparsity,
) -> tuple[Float64[Tensor, "clients clients"], Float64[Tensor, "clients clients"]]:
    """Entries of equal minus of opposite sign, and entries where neither is zero."""
    count = len(layer)
    balance = torch.zeros(count, count, dtype=torch.float64)
    both = torch.zeros(count, count, dtype=torch.float64)
    for block in column_blocks(layer):
        ternary = signs(block, maxima, sparsity).float()
        balance += (ternary @ ternary.T).double().cpu()
        present = ternary.abs()
        both += (present @ present.T).double().cpu()
    return balance, both
