"""Convolution by the convolution theorem, for the large kernels of small images.

A 5x5 convolution of 12x12 images multiplies 25 numbers for each output and each pair of
channels; in the frequency domain, about 10. The Fourier transforms are products with small
matrices, which computers do at full speed, and rounding is no worse than that of the direct
sum. The technique is that of Mathieu et al., *Fast training of convolutional networks
through FFTs*, ICLR 2014, https://arxiv.org/abs/1312.5851.

With ``*`` for the elementwise product of spectra and a bar for conjugation, a convolution
layer ``y(i) = sum_u x(i + u) w(u)`` and its gradients are ::

    Y = X * bar W        dX = dY * W        dW = X * bar dY

summed over input channels, output channels and images. The circle of the transform is as
long as the padded image, so nothing that is kept wraps round.

Arrays here are ``(height, width, rows, columns)``: space first, so that a transform is one
matrix product and every frequency has a matrix of its own to multiply.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Transform:
    """Matrices of the two-dimensional transform of a square piece of a circle.

    Attributes:
        first: along the height, real to complex; rows are (frequency, part).
        across: along the width, (part, position) to frequency, for either part.
        back: along the width, frequency to (cosine or sine, position).
        last: along the height, (part, frequency, cosine or sine) to position.
    """

    first: Float[Tensor, "half2 positions"]
    across: Float[Tensor, "2 1 size positions2"]
    back: Float[Tensor, "positions2 size"]
    last: Float[Tensor, "positions half4"]


@lru_cache(maxsize=64)
def transform(size: int, start: int, count: int, dtype: torch.dtype) -> Transform:
    """For ``count`` positions from ``start`` on a circle of ``size``.

    Only the first half of the frequencies along the height is kept: the spectrum of real
    numbers is symmetric, and the others are counted by weighing these twice.
    """
    half = size // 2 + 1
    turns = torch.outer(torch.arange(size), torch.arange(start, start + count)) % size
    cos = torch.cos(2 * math.pi / size * turns.double())
    sin = torch.sin(2 * math.pi / size * turns.double())
    twice = torch.full((half, 1), 2.0, dtype=torch.float64)
    twice[0] = 1.0
    if size % 2 == 0:
        twice[-1] = 1.0
    real, imaginary = twice * cos[:half] / size**2, twice * sin[:half] / size**2
    across = torch.stack([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])
    last = torch.stack([real, -imaginary, -imaginary, -real]).view(2, 2, half, count)
    return Transform(
        first=torch.stack([cos[:half], -sin[:half]], 1).view(2 * half, count).to(dtype),
        across=across[:, None].to(dtype),
        back=torch.cat([cos.T, sin.T]).to(dtype),
        last=last.transpose(1, 2).reshape(4 * half, count).T.contiguous().to(dtype),
    )


def spectrum(
    signal: Float[Tensor, "positions positions rows columns"], by: Transform
) -> Float[Tensor, "2 frequencies rows columns"]:
    """Real and imaginary part of the frequencies (height, width) of real signals."""
    count, _, rows, columns = signal.shape
    half, size = len(by.first) // 2, by.across.shape[2]
    risen = by.first @ signal.reshape(count, -1)
    parts = by.across @ risen.view(half, 2 * count, rows * columns)
    return parts.view(2, half * size, rows, columns)


def signals(
    of: Float[Tensor, "2 frequencies rows columns"], by: Transform
) -> Float[Tensor, "positions positions rows columns"]:
    """The inverse of `spectrum`, at the positions of the transform."""
    rows, columns = of.shape[2:]
    count, half4 = by.last.shape
    turned = by.back @ of.view(half4 // 2, -1, rows * columns)
    flat = by.last @ turned.view(half4, count * rows * columns)
    return flat.view(count, count, rows, columns)


def product(
    a: Float[Tensor, "2 frequencies rows inner"],
    b: Float[Tensor, "2 frequencies inner columns"],
    conjugate: bool,
) -> Float[Tensor, "2 frequencies rows columns"]:
    """The complex matrix product at every frequency, with b or with its conjugate."""
    sign = -1 if conjugate else 1
    out = a.new_empty(2, a.shape[1], a.shape[2], b.shape[3])
    torch.bmm(a[0], b[0], out=out[0]).baddbmm_(a[1], b[1], alpha=-sign)
    torch.bmm(a[1], b[0], out=out[1]).baddbmm_(a[0], b[1], alpha=sign)
    return out


class Convolve(torch.autograd.Function):
    """``conv2d(images, weight, bias, padding=padding)`` for square images and kernels."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Float[Tensor, "batch inputs side side"],
        weight: Float[Tensor, "outputs inputs kernel kernel"],
        bias: Float[Tensor, " outputs"],
        padding: int,
    ) -> Float[Tensor, "batch outputs out out"]:
        """The layer's outputs, with channels last."""
        side, kernel = images.shape[-1], weight.shape[-1]
        size = side + 2 * padding
        dtype = images.dtype
        ctx.inside = transform(size, padding, side, dtype)
        ctx.outside = transform(size, 0, size - kernel + 1, dtype)
        ctx.window = transform(size, 0, kernel, dtype)
        x = spectrum(images.permute(2, 3, 0, 1), ctx.inside)
        w = spectrum(weight.permute(2, 3, 1, 0), ctx.window)
        ctx.save_for_backward(x, w)
        y = signals(product(x, w, conjugate=True), ctx.outside).permute(2, 3, 0, 1)
        out = torch.empty(y.shape, dtype=dtype, memory_format=torch.channels_last)
        return torch.add(y, bias.view(-1, 1, 1), out=out)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of images, weight and bias."""
        x, w = ctx.saved_tensors
        y = spectrum(gradients[0].permute(2, 3, 0, 1), ctx.outside)
        images = signals(product(y, w.mT, conjugate=False), ctx.inside).permute(2, 3, 0, 1)
        weight = signals(product(x.mT, y, conjugate=True), ctx.window)
        # Frequency zero is the sum over the image.
        bias = y[0, 0].sum(dim=0)
        return (
            images.contiguous(memory_format=torch.channels_last),
            weight.permute(3, 2, 0, 1),
            bias,
            None,
        )
