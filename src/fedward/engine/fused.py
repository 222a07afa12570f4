"""Layers computed by our own kernels while models run on a GPU.

Models stay written for PyTorch: whoever runs one inside of `fused` has its convolutions,
poolings and normalisations computed by `gpu_layers`, as far as those know them, under
`torch.func.vmap` those of all slots at once. Everything else is PyTorch's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, local_response_norm, max_pool2d
from torch.overrides import TorchFunctionMode

from fedward.engine.response import BETA

Way = Callable[..., Tensor]
"""Makes what a layer makes of its tensors, of those of all slots: the first dimension."""


class Slotwise(torch.autograd.Function):
    """Hands a layer over to `torch.func.vmap` with a way of our own to compute all slots.

    Under `vmap` gradients are the way's own; a single model is one slot, and then there are
    none.
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


def by(way: Way, *tensors: Tensor) -> Tensor:
    """The layer of one model, or of all under `vmap`."""
    out: Tensor = Slotwise.apply(way, *tensors)  # type: ignore[no-untyped-call]
    return out


def one(size: Any) -> int | None:
    """The size of something square; None if it is not."""
    values = {size} if isinstance(size, int) else set(size)
    return values.pop() if len(values) == 1 and isinstance(size, (int, tuple)) else None


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
    from fedward.engine.gpu_layers import Convolve

    kernel, rim = one(tuple(weight.shape[2:])), one(padding)
    if kernel is None or rim is None or rim >= kernel:
        return None
    if (one(stride), one(dilation), groups) != (1, 1, 1):
        return None
    if bias is None:
        bias = weight.new_zeros(len(weight))

    def way(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out: Tensor = Convolve.apply(images, weight, bias, rim)  # type: ignore[no-untyped-call]
        return out

    return by(way, images, weight, bias)


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
    from fedward.engine.gpu_layers import Pool

    kernel, rim = one(kernel_size), one(padding)
    step = one(stride or kernel_size)
    if kernel is None or rim is None or step is None or one(dilation) != 1:
        return None
    if ceil_mode or return_indices or kernel > LARGEST:
        return None

    def way(images: Tensor) -> Tensor:
        out: Tensor = Pool.apply(images, kernel, step, rim)  # type: ignore[no-untyped-call]
        return out

    return by(way, images)


LARGEST = 15
"""Windows whose places a byte can hold, with one value for none."""


def normalisation(
    images: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor | None:
    """`local_response_norm`, or None where the kernels do not know it."""
    from fedward.engine.gpu_layers import Normalise

    if (size, beta) != (2, BETA):
        return None

    def way(images: Tensor) -> Tensor:
        out: Tensor = Normalise.apply(images, alpha, k)  # type: ignore[no-untyped-call]
        return out

    return by(way, images)


RULES: Mapping[Any, Callable[..., Tensor | None]] = {
    conv2d: convolution,
    max_pool2d: pooling,
    local_response_norm: normalisation,
}


class Fused(TorchFunctionMode):
    """Takes the kernels where they know a layer."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What the function makes, one way or another."""
        rule, named = RULES.get(func), kwargs or {}
        if rule is not None and args and args[0].ndim == 4 and fuses(args[0]):
            found = rule(*args, **named)
            if found is not None:
                return found
        return func(*args, **named)


def fuses(numbers: Tensor) -> bool:
    """Whether there are kernels for such numbers there."""
    return numbers.is_cuda and numbers.dtype == torch.float32 and has_triton()


@cache
def has_triton() -> bool:
    """Whether Triton is here; PyTorch for GPUs brings it along."""
    return find_spec("triton") is not None


@contextmanager
def fused(device: torch.device) -> Iterator[None]:
    """Take our own kernels for models that run inside, if the device is a GPU."""
    if device.type != "cuda" or not has_triton():
        yield
        return
    # Triton starts its kernels on the current device, whatever that of its arrays.
    with torch.cuda.device(device), Fused():
        yield
