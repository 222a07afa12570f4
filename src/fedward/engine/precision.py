"""Single precision that is single precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_float32() -> Iterator[None]:
    """No TF32 in products and convolutions, and convolutions that repeat their bits.

    PyTorch lets cuDNN use TF32, with 10 bits of mantissa, unless it is told not to, and
    lets it choose algorithms that add up in an order that changes from call to call.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
