"""How PyTorch's layers are computed by our kernels, of one model or of many at once."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, local_response_norm, max_pool2d

from fedward.engine.gpu_layers import Convolve, Normalise, Pool
from fedward.engine.response import BETA

Way = Callable[..., Tensor]
"""Makes of tensors of all slots, the first dimension, what a layer makes of its own."""


class Slotwise(torch.autograd.Function):
    """Hands a layer over to `torch.func.vmap` with a way of our own to compute all slots.

    Under `vmap` gradients are the way's own. A model by itself is one slot, without any.
    """

    @staticmethod
    def forward(way: Way, *tensors: Tensor) -> Tensor:
        """The layer of a single model."""
        return way(*(tensor[None] for tensor in tensors))[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing is kept."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], way: Way, *tensors: Tensor
    ) -> tuple[Tensor, int]:
        """The layers of all slots."""
        stacked = [
            tensor.expand(info.batch_size, *tensor.shape)
            if dim is None
            else tensor.movedim(dim, 0)
            for dim, tensor in zip(in_dims[1:], tensors, strict=True)
        ]
        return way(*stacked), 0


def slotwise(way: Way, *tensors: Tensor) -> Tensor:
    """The layer of one model, or under `torch.func.vmap` those of all."""
    out: Tensor = Slotwise.apply(way, *tensors)  # type: ignore[no-untyped-call]
    return out


def square(size: int | tuple[int, ...]) -> int | None:
    """The size of something square; None if it is not."""
    values = {size} if isinstance(size, int) else set(size)
    return values.pop() if len(values) == 1 else None


MOST = (1 << 31) - 1
"""Numbers of a slot before or behind a convolution, whose places are counted in 32 bits."""


def counted(images: Tensor, weight: Tensor, rim: int) -> int:
    """The more of the numbers that a convolution reads, padding included, and writes."""
    batch, inputs, *sides = images.shape
    padded = [side + 2 * rim for side in sides]
    out = [side - kernel + 1 for side, kernel in zip(padded, weight.shape[2:], strict=True)]
    return batch * max(inputs * math.prod(padded), len(weight) * math.prod(out))


def convolution(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    """`conv2d`, or None where the kernels do not know it."""
    kernel = square(tuple(weight.shape[2:]))
    rim = None if isinstance(padding, str) else square(padding)
    if kernel is None or rim is None or rim >= kernel:
        return None
    if (square(stride), square(dilation), groups) != (1, 1, 1):
        return None
    if counted(images, weight, rim) > MOST:
        return None
    if bias is None:
        bias = weight.new_zeros(len(weight))

    def way(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out: Tensor = Convolve.apply(images, weight, bias, rim)  # type: ignore[no-untyped-call]
        return out

    return slotwise(way, images, weight, bias)


LARGEST = 15
"""Side of the windows whose places a byte can hold, with one value left for none."""


def pooling(
    images: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    """`max_pool2d`, or None where the kernels do not know it."""
    kernel, rim = square(kernel_size), square(padding)
    step = square(kernel_size if stride is None or stride == () else stride)
    if kernel is None or rim is None or not step or kernel > LARGEST or 2 * rim > kernel:
        return None
    if ceil_mode or return_indices or square(dilation) != 1:
        return None

    def way(images: Tensor) -> Tensor:
        out: Tensor = Pool.apply(images, kernel, step, rim)  # type: ignore[no-untyped-call]
        return out

    return slotwise(way, images)


def normalisation(
    images: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor | None:
    """`local_response_norm`, or None where the kernels do not know it."""
    if (size, beta) != (2, BETA):
        return None

    def way(images: Tensor) -> Tensor:
        out: Tensor = Normalise.apply(images, alpha, k)  # type: ignore[no-untyped-call]
        return out

    return slotwise(way, images)


RULES: Mapping[Any, Callable[..., Tensor | None]] = MappingProxyType(
    {conv2d: convolution, max_pool2d: pooling, local_response_norm: normalisation}
)
"""Layers by PyTorch's functions."""
