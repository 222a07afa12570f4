"""Kernels for the layers of many local models at once, written in Triton.

PyTorch turns the convolutions of many models into one grouped convolution, and libraries
have few fast kernels for that. Arrays here are ``(slot, image, row, column, channel)``, so
that a window's row of pixels is one run of numbers. A convolution is a product of windows
and weights whose windows are read where they are, never written out (Chetlur et al.,
*cuDNN: efficient primitives for deep learning*, 2014, https://arxiv.org/abs/1410.0759,
section 3).

Products are of float32 numbers cut into two parts of 11 bits (``tf32x3``: high times high,
and twice high times low), which leaves an error of about 2**-22 of every product; sums are
float32. No result depends on what other slots hold, nor on the order in which blocks run.
"""

from typing import no_type_check

import triton
import triton.language as tl

PRECISION = "tf32x3"


@triton.jit
@no_type_check
def convolve(
    x, weight, bias, out, batch, rim: tl.constexpr,
    height: tl.constexpr, width: tl.constexpr, inputs: tl.constexpr,
    high: tl.constexpr, wide: tl.constexpr, outputs: tl.constexpr,
    kernel: tl.constexpr, run: tl.constexpr, length: tl.constexpr,
    precision: tl.constexpr,
    TALL: tl.constexpr, BROAD: tl.constexpr, DEEP: tl.constexpr,
):  # fmt: skip
    """A block of outputs: windows times weights plus bias.

    The windows of one height follow one another, image by image, so that a block knows
    which rows of its windows are nothing but padding, and leaves them out.

    Args:
        batch: images of a slot.
        rim: rows of zeros above and below every image.
        run: numbers in a row of a window, kernel x inputs.
        length: numbers in a window.
    """
    slot = tl.program_id(2).to(tl.int64)
    level = batch * wide
    window = tl.program_id(0) * TALL + tl.arange(0, TALL)
    column = tl.program_id(1) * BROAD + tl.arange(0, BROAD)
    row, image, place = window // level, window % level // wide, window % wide
    there = row < high
    corner = ((image * height + row) * width + place) * inputs
    x += slot * batch * (height * width * inputs)
    weight += slot * (length * outputs)
    highest = tl.program_id(0) * TALL // level
    lowest = tl.minimum((tl.program_id(0) * TALL + TALL - 1) // level, high - 1)
    first = tl.maximum(rim - lowest, 0) * run
    behind = tl.minimum(kernel, height - rim - highest) * run
    total = tl.zeros((TALL, BROAD), dtype=tl.float32)
    for step in range(0, tl.cdiv(behind - first, DEEP)):
        inner = first + step * DEEP + tl.arange(0, DEEP)
        offset = (inner // run) * (width * inputs) + inner % run
        seen = tl.load(
            x + corner[:, None] + offset[None, :],
            mask=there[:, None] & (inner < behind)[None, :],
            other=0.0,
        )
        by = tl.load(
            weight + inner[:, None] * outputs + column[None, :],
            mask=(inner < behind)[:, None] & (column < outputs)[None, :],
            other=0.0,
        )
        total = tl.dot(seen, by, total, input_precision=precision)
    total += tl.load(bias + slot * outputs + column, mask=column < outputs, other=0.0)[
        None, :
    ]
    goal = (((slot * batch + image) * high + row) * wide + place) * outputs
    tl.store(
        out + goal[:, None] + column[None, :],
        total,
        mask=there[:, None] & (column < outputs)[None, :],
    )


@triton.jit
@no_type_check
def weigh(
    x, gradient, out, rows, parts, share: tl.constexpr,
    height: tl.constexpr, width: tl.constexpr, inputs: tl.constexpr,
    high: tl.constexpr, wide: tl.constexpr, outputs: tl.constexpr,
    kernel: tl.constexpr, run: tl.constexpr, length: tl.constexpr,
    precision: tl.constexpr,
    TALL: tl.constexpr, BROAD: tl.constexpr, DEEP: tl.constexpr,
):  # fmt: skip
    """``out[part, inner, output]``: the weights' gradient by one part of the windows.

    Args:
        share: windows of a part, a multiple of ``DEEP``.
        parts: into which the windows are divided.
    """
    slot = tl.program_id(2).to(tl.int64)
    part = tl.program_id(1) % parts
    inner = tl.program_id(0) * TALL + tl.arange(0, TALL)
    column = (tl.program_id(1) // parts) * BROAD + tl.arange(0, BROAD)
    offset = (inner // run) * (width * inputs) + inner % run
    x += slot * (rows // (high * wide)) * (height * width * inputs)
    gradient += slot * rows * outputs
    total = tl.zeros((TALL, BROAD), dtype=tl.float32)
    end = tl.minimum(rows, (part + 1) * share)
    for step in range(0, share, DEEP):
        row = part * share + step + tl.arange(0, DEEP)
        image, place = row // (high * wide), row % (high * wide)
        corner = ((image * height + place // wide) * width + place % wide) * inputs
        seen = tl.load(
            x + corner[:, None] + offset[None, :],
            mask=(row < end)[:, None] & (inner < length)[None, :],
            other=0.0,
        )
        pull = tl.load(
            gradient + row[:, None] * outputs + column[None, :],
            mask=(row < end)[:, None] & (column < outputs)[None, :],
            other=0.0,
        )
        total = tl.dot(tl.trans(seen), pull, total, input_precision=precision)
    out += (slot * parts + part) * (length * outputs)
    tl.store(
        out + inner[:, None] * outputs + column[None, :],
        total,
        mask=(inner < length)[:, None] & (column < outputs)[None, :],
    )


@triton.jit
@no_type_check
def largest(
    x, out, where, count,
    height: tl.constexpr, width: tl.constexpr, channels: tl.constexpr,
    high: tl.constexpr, wide: tl.constexpr,
    kernel: tl.constexpr, stride: tl.constexpr, padding: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The largest of every window and where it is: the first of equals, the last NaN."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = index < count
    channel, rest = index % channels, index // channels
    column, rest = rest % wide, rest // wide
    row, image = rest % high, rest // high
    best = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
    place = tl.full((BLOCK,), 255, dtype=tl.int32)
    for down in tl.static_range(kernel):
        for right in tl.static_range(kernel):
            i, j = row * stride - padding + down, column * stride - padding + right
            inside = valid & (i >= 0) & (i < height) & (j >= 0) & (j < width)
            value = tl.load(
                x + ((image * height + i) * width + j) * channels + channel,
                mask=inside,
                other=0.0,
            )
            take = inside & ((value > best) | (value != value) | (place == 255))
            best = tl.where(take, value, best)
            place = tl.where(take, down * kernel + right, place)
    tl.store(out + index, best, mask=valid)
    tl.store(where + index, place.to(tl.uint8), mask=valid)


@triton.jit
@no_type_check
def spread_back(
    gradient, where, out, count,
    height: tl.constexpr, width: tl.constexpr, channels: tl.constexpr,
    high: tl.constexpr, wide: tl.constexpr,
    kernel: tl.constexpr, stride: tl.constexpr, padding: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Every pixel's gradient: of the windows whose largest it is, in a fixed order."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = index < count
    channel, rest = index % channels, index // channels
    column, rest = rest % width, rest // width
    row, image = rest % height, rest // height
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for above in tl.static_range((kernel + stride - 1) // stride):
        for left in tl.static_range((kernel + stride - 1) // stride):
            i, j = (row + padding) // stride - above, (column + padding) // stride - left
            down, right = row + padding - i * stride, column + padding - j * stride
            inside = valid & (i >= 0) & (i < high) & (j >= 0) & (j < wide)
            inside = inside & (down < kernel) & (right < kernel)
            source = ((image * high + i) * wide + j) * channels + channel
            place = tl.load(where + source, mask=inside, other=255).to(tl.int32)
            mine = inside & (place == down * kernel + right)
            total += tl.load(gradient + source, mask=mine, other=0.0)
    tl.store(out + index, total, mask=valid)


@triton.jit
@no_type_check
def normalise(x, out, count, channels: tl.constexpr, alpha, k, BLOCK: tl.constexpr):
    """``x d**-0.75`` with ``d = k + alpha (x[c]**2 + x[c - 1]**2) / 2``."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = index < count
    channel = index % channels
    here = tl.load(x + index, mask=valid, other=0.0)
    before = tl.load(x + index - 1, mask=valid & (channel > 0), other=0.0)
    root = tl.rsqrt(k + alpha / 2 * (here * here + before * before))
    tl.store(out + index, here * root * tl.sqrt(root), mask=valid)


@triton.jit
@no_type_check
def normalise_back(
    x, gradient, out, count, channels: tl.constexpr, alpha, k, BLOCK: tl.constexpr
):
    """``g s - 0.75 alpha x (t[c] + t[c + 1])`` with ``t = g x s / d``, ``s = d**-0.75``."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    valid = index < count
    channel = index % channels
    later = valid & (channel < channels - 1)
    before = tl.load(x + index - 1, mask=valid & (channel > 0), other=0.0)
    here = tl.load(x + index, mask=valid, other=0.0)
    behind = tl.load(x + index + 1, mask=later, other=0.0)
    pull = tl.load(gradient + index, mask=valid, other=0.0)
    next_pull = tl.load(gradient + index + 1, mask=later, other=0.0)
    root = tl.rsqrt(k + alpha / 2 * (here * here + before * before))
    next_root = tl.rsqrt(k + alpha / 2 * (behind * behind + here * here))
    direct = pull * root * tl.sqrt(root)
    through = direct * here * root * root
    through += next_pull * next_root * tl.sqrt(next_root) * behind * next_root * next_root
    tl.store(out + index, direct - 0.75 * alpha * here * through, mask=valid)


@triton.jit
@no_type_check
def descend(weights, velocity, gradient, lr, momentum, decay, width, BLOCK: tl.constexpr):
    """A step of SGD with momentum and weight decay for a block of one slot's parameters."""
    slot = tl.program_id(1)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = index < width
    at = slot.to(tl.int64) * width + index
    weight = tl.load(weights + at, mask=mask)
    pull = tl.load(gradient + at, mask=mask) + tl.load(decay + slot) * weight
    speed = tl.load(momentum + slot) * tl.load(velocity + at, mask=mask) + pull
    tl.store(velocity + at, speed, mask=mask)
    tl.store(weights + at, weight - tl.load(lr + slot) * speed, mask=mask)
