"""Images as tensors: uint8 pixels and int64 labels, a whole data set at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


class DataError(ValueError):
    """Data that cannot be used or found; the message names the file or the place."""


@dataclass(frozen=True)
class Images:
    """Labelled images; pixel 255 is white.

    Raises:
        DataError: if the parts do not fit together.
    """

    pixels: UInt8[Tensor, "images channels height width"]
    labels: Int64[Tensor, " images"]

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise DataError(
                "pixels need to be uint8 of shape (images, channels, height, width), "
                f"got {self.pixels.dtype} of shape {tuple(self.pixels.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise DataError(
                "labels need to be int64 of shape (images,), "
                f"got {self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )
        if len(self.pixels) != len(self.labels):
            raise DataError(
                f"every image needs one label, got {len(self.pixels)} images "
                f"and {len(self.labels)} labels"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def to(self, device: torch.device | str) -> "Images":
        """The same images on a device."""
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training and test images of one task.

    Attributes:
        classes: the name of every label, in the order of the labels.

    Raises:
        DataError: if a part is empty, the image shapes differ or a label has no class.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part, images in (("training", self.train), ("test", self.test)):
            if not len(images):
                raise DataError(f"{self.name} needs {part} images, got none")
            low, high = int(images.labels.min()), int(images.labels.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.name} has {len(self.classes)} classes, so {part} labels need "
                    f"to be 0 to {len(self.classes) - 1}, got {low} to {high}"
                )
        if self.train.shape != self.test.shape:
            raise DataError(
                f"{self.name} needs training and test images of one shape, "
                f"got {self.train.shape} and {self.test.shape}"
            )

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set on a device."""
        return Dataset(self.name, self.train.to(device), self.test.to(device), self.classes)
