"""The layers of many local models at once on a GPU, as functions that autograd knows.

All take arrays of slots, ``(slot, image, channel, row, column)`` as PyTorch has them, and
keep them with channels last.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from fedward.engine import gpu_kernels as kernels

DEEP = 32
"""Numbers of a window that a block multiplies at a time."""

BLOCK = 1024
"""Pixels of a block, where every pixel is worked out by itself."""

BUSY = 2048
"""Blocks that keep a GPU busy: sums over windows are divided into so many."""


def last(images: Tensor) -> Tensor:
    """Channels behind, contiguous."""
    return images.movedim(2, 4).contiguous()


def blocks(outputs: int) -> int:
    """Outputs that a block has: products need 16 at least."""
    return min(64, max(16, 1 << (outputs - 1).bit_length()))


def convolved(x: Tensor, weight: Tensor, bias: Tensor, rim: int) -> Tensor:
    """Every window times its slot's weights.

    Args:
        x: ``(slot, image, row, column, input)``, with its padding.
        weight: ``(slot, row, column, input, output)``.
        rim: how wide the padding is.
    """
    slots, batch, height, width, inputs = x.shape
    kernel, outputs = weight.shape[1], weight.shape[4]
    high, wide = height - kernel + 1, width - kernel + 1
    out = x.new_empty(slots, batch, high, wide, outputs)
    length, broad = kernel * kernel * inputs, blocks(outputs)
    tall, warps = (256, 8) if broad == 64 and length >= 128 else (128, 4)
    grid = (-(-batch * high * wide // tall), -(-outputs // broad), slots)
    kernels.convolve[grid](
        x, weight, bias, out, batch, rim, height, width, inputs, high, wide, outputs,
        kernel, kernel * inputs, length, kernels.PRECISION,
        TALL=tall, BROAD=broad, DEEP=DEEP, num_warps=warps, num_stages=3,
    )  # fmt: skip
    return out


def weighed(x: Tensor, gradient: Tensor, kernel: int) -> Tensor:
    """Gradient of the weights, ``(slot, row, column, input, output)``."""
    slots, batch, height, width, inputs = x.shape
    high, wide, outputs = gradient.shape[2:]
    rows, length = batch * high * wide, kernel * kernel * inputs
    tall, broad = 128 if length >= 128 else 32, blocks(outputs)
    tiles = -(-length // tall) * -(-outputs // broad) * slots
    share = DEEP << max(0, -(-rows * tiles // (BUSY * DEEP)) - 1).bit_length()
    parts = -(-rows // share)
    out = x.new_empty(slots, parts, length, outputs)
    grid = (-(-length // tall), parts * -(-outputs // broad), slots)
    kernels.weigh[grid](
        x, gradient, out, rows, parts, share, height, width, inputs, high, wide, outputs,
        kernel, kernel * inputs, length, kernels.PRECISION,
        TALL=tall, BROAD=broad, DEEP=DEEP, num_warps=4, num_stages=3,
    )  # fmt: skip
    return out.sum(dim=1).view(slots, kernel, kernel, inputs, outputs)


class Convolve(torch.autograd.Function):
    """``conv2d(images, weight, bias, padding=padding)`` for square kernels."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, padding: int
    ) -> Tensor:
        """The layers' outputs."""
        x = pad(last(images), (0, 0, padding, padding, padding, padding))
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        by = weight.permute(0, 3, 4, 2, 1).contiguous()
        return convolved(x, by, bias.contiguous(), padding).movedim(4, 2)

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, Tensor, Tensor, None]:
        """Gradients of images, if they are wanted, of weights and biases."""
        x, weight = ctx.saved_tensors
        kernel, padding = weight.shape[-1], ctx.padding
        gradient = last(gradients[0])
        images = None
        if ctx.needs_input_grad[0]:
            rest = kernel - 1 - padding
            grown = pad(gradient, (0, 0, rest, rest, rest, rest))
            turned = weight.flip(3, 4).permute(0, 3, 4, 1, 2).contiguous()
            none = turned.new_zeros(len(turned), turned.shape[4])
            images = convolved(grown, turned, none, rest).movedim(4, 2)
        made = weighed(x, gradient, kernel).permute(0, 4, 3, 1, 2)
        return images, made, gradient.flatten(1, 3).sum(dim=1), None


class Pool(torch.autograd.Function):
    """``max_pool2d(images, kernel, stride, padding)`` for square windows."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
        """The largest of every window."""
        x = last(images)
        slots, batch, height, width, channels = x.shape
        high, wide = (
            (side + 2 * padding - kernel) // stride + 1 for side in (height, width)
        )
        out = x.new_empty(slots, batch, high, wide, channels)
        where = torch.empty_like(out, dtype=torch.uint8)
        ctx.numbers = (height, width, channels, high, wide, kernel, stride, padding)
        ctx.shape = x.shape
        ctx.save_for_backward(where)
        grid = (-(-out.numel() // BLOCK),)
        kernels.largest[grid](x, out, where, out.numel(), *ctx.numbers, BLOCK=BLOCK)
        return out.movedim(4, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Gradient of the images."""
        (where,) = ctx.saved_tensors
        gradient = last(gradients[0])
        out = gradient.new_empty(ctx.shape)
        grid = (-(-out.numel() // BLOCK),)
        kernels.spread_back[grid](
            gradient, where, out, out.numel(), *ctx.numbers, BLOCK=BLOCK
        )
        return out.movedim(4, 2), None, None, None


class Normalise(torch.autograd.Function):
    """``local_response_norm(images, 2, alpha, 0.75, k)``."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, alpha: float, k: float) -> Tensor:
        """Normalised images."""
        x = last(images)
        ctx.save_for_backward(x)
        ctx.numbers = alpha, k
        out = torch.empty_like(x)
        grid = (-(-x.numel() // BLOCK),)
        kernels.normalise[grid](x, out, x.numel(), x.shape[4], alpha, k, BLOCK=BLOCK)
        return out.movedim(4, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Gradient of the images."""
        (x,) = ctx.saved_tensors
        gradient = last(gradients[0])
        out = torch.empty_like(x)
        grid = (-(-x.numel() // BLOCK),)
        kernels.normalise_back[grid](
            x, gradient, out, x.numel(), x.shape[4], *ctx.numbers, BLOCK=BLOCK
        )
        return out.movedim(4, 2), None, None


def descend(
    weights: Float[Tensor, "slots params"],
    velocity: Float[Tensor, "slots params"],
    gradient: Float[Tensor, "slots params"],
    lr: Float[Tensor, " slots"],
    momentum: Float[Tensor, " slots"],
    decay: Float[Tensor, " slots"],
) -> None:
    """A step of every slot as `torch.optim.SGD` defines it, in place."""
    slots, params = weights.shape
    grid = (-(-params // BLOCK), slots)
    numbers = lr, momentum, decay
    # Triton starts its kernels on the current device, whatever that of its arrays.
    with torch.cuda.device_of(weights):  # type: ignore[no-untyped-call]
        kernels.descend[grid](weights, velocity, gradient, *numbers, params, BLOCK=BLOCK)
