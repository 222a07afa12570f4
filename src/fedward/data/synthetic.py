"""A tiny task made from a seed: one bright spot a class, on noise. For tests and trials."""

import math

import torch
from jaxtyping import Int64
from torch import Tensor

from fedward.data.images import Dataset, Images
from fedward.seeds import stream

SIZE = 28


def synthetic(
    seed: int = 0, classes: int = 10, train: int = 600, test: int = 200
) -> Dataset:
    """Grey images of 28 x 28 pixels in which the place of a spot tells the class.

    Class k has its spot on a circle, at k turns out of ``classes``; the spot is moved by up
    to a pixel, its brightness varies, and the noise is fresh in every image. Every class
    has as many images as any other, to within one.
    """
    return Dataset(
        name="synthetic",
        train=_spots(torch.arange(train) % classes, classes, stream(seed, "train")),
        test=_spots(torch.arange(test) % classes, classes, stream(seed, "test")),
        classes=tuple(f"spot {k}" for k in range(classes)),
    )


def _spots(
    labels: Int64[Tensor, " images"], classes: int, generator: torch.Generator
) -> Images:
    count = len(labels)
    angle = labels * (2 * math.pi / classes)
    middle = (SIZE - 1) / 2
    circle = torch.stack((angle.sin(), angle.cos()), dim=1) * 8
    centre = middle + circle + torch.randint(-1, 2, (count, 2), generator=generator)
    grid = torch.arange(SIZE)
    # exp(-distance^2 / 2 sigma^2) is a product of a column and a row; sigma = 2.5 pixels.
    rows = torch.exp(-((grid - centre[:, :1]) ** 2) / (2 * 2.5**2))
    columns = torch.exp(-((grid - centre[:, 1:]) ** 2) / (2 * 2.5**2))
    brightness = 150 + 90 * torch.rand(count, 1, 1, generator=generator)
    noise = 20 * torch.randn(count, SIZE, SIZE, generator=generator)
    pixels = brightness * rows[:, :, None] * columns[:, None, :] + noise.abs()
    return Images(pixels.clamp(0, 255).round().to(torch.uint8)[:, None], labels)
