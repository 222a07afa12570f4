"""Which images of a plan are poisoned, and what success is measured on."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


def share_of(size: int, share: float) -> int:
    """int(share x size); 0.29 x 100 is 29, although floating point says 28.999..."""
    return int(round(share * size, 9))


def pick(
    sizes: Sequence[int], share: float, generator: torch.Generator
) -> Bool[Tensor, " samples"]:
    """int(share x size) samples of every batch, drawn anew for each."""
    chosen = torch.zeros(sum(sizes), dtype=torch.bool)
    start = 0
    for size in sizes:
        order = torch.randperm(size, generator=generator)
        chosen[start + order[: share_of(size, share)]] = True
        start += size
    return chosen


def others(labels: Int64[Tensor, " test"], target: int) -> Int64[Tensor, " probed"]:
    """Test images whose true class is not the target."""
    return (labels != target).nonzero().squeeze(1).cpu()
