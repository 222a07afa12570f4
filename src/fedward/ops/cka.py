"""Kernel CKA: how alike two weight matrices are as representations.

Kornblith et al., *Similarity of neural network representations revisited*, ICML 2019,
section 3, https://arxiv.org/abs/1905.00414. The rows of a matrix are the examples.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

SAME = 1e-12
"""Squared distances below this share of the largest are rounding."""


def centred_rbf(
    rows: Float[Tensor, "examples features"],
    shift: Float[Tensor, "examples features"] | None = None,
) -> Float64[Tensor, "examples examples"]:
    """H K H with K = exp(-d^2 / (2 s^2)) and s^2 the median non-zero squared distance.

    All zero when no two rows differ. Beside the result's size it holds one float64 copy.

    Args:
        shift: added to the rows, in float64.
    """
    wide = rows.to(torch.float64, copy=True)
    if shift is not None:
        wide += shift
    wide -= wide.mean(dim=0)
    lengths = torch.cat([row.square().sum(dim=1) for row in torch.split(wide, 16)])
    squares = (lengths[:, None] + lengths - 2 * (wide @ wide.T)).clamp(min=0)
    squares.fill_diagonal_(0)
    above = squares[torch.triu(torch.ones_like(squares, dtype=torch.bool), diagonal=1)]
    apart = above[above > SAME * squares.max()]
    if len(apart) == 0:
        return torch.zeros_like(squares)
    ordered = apart.sort().values
    scale = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    kernel = (squares / (-2 * scale)).exp()
    return kernel - kernel.mean(dim=0) - kernel.mean(dim=1, keepdim=True) + kernel.mean()


def cka(
    left: Float64[Tensor, "examples examples"], right: Float64[Tensor, "examples examples"]
) -> float:
    """HSIC(l, r) / sqrt(HSIC(l, l) HSIC(r, r)) of centred kernels, equation 4.

    0 where a kernel is zero and the quotient undefined. Identical kernels give exactly 1.
    """
    sizes = (left.norm(), right.norm())
    if min(sizes) == 0:
        return 0.0
    if left.equal(right):
        return 1.0
    return float((left / sizes[0] * (right / sizes[1])).sum())
