"""Layers that a CPU computes faster another way, to rounding the same."""

import copy
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d

from fedward.engine.response import BETA, Normalise
from fedward.engine.spectral import Convolve

Model = TypeVar("Model", bound=nn.Module)

MIN_KERNEL = 5
"""Smaller kernels have too little to save in the frequency domain."""

MIN_CHANNELS = 16
"""With fewer inputs, transforming the outputs costs more than is saved."""


class SpectralConv2d(nn.Module):
    """A convolution layer with the parameters of another, computed by spectra."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.padding = int(layer.padding[0])

    def forward(
        self, images: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """The layer's outputs; images that are not square are left to PyTorch."""
        if images.shape[-2] != images.shape[-1]:
            return conv2d(images, self.weight, self.bias, padding=self.padding)
        out: Tensor = Convolve.apply(images, self.weight, self.bias, self.padding)  # type: ignore[no-untyped-call]
        return out


class RootResponseNorm(nn.Module):
    """Local response normalisation computed by square roots."""

    def __init__(self, layer: nn.LocalResponseNorm) -> None:
        super().__init__()
        self.alpha, self.k = float(layer.alpha), float(layer.k)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Normalised images."""
        out: Tensor = Normalise.apply(images, self.alpha, self.k)  # type: ignore[no-untyped-call]
        return out


def faster(layer: nn.Module) -> nn.Module | None:
    """A layer that computes the same in less time, or None."""
    if isinstance(layer, nn.Conv2d) and convolution_pays(layer):
        return SpectralConv2d(layer)
    if isinstance(layer, nn.LocalResponseNorm) and (layer.size, layer.beta) == (2, BETA):
        return RootResponseNorm(layer)
    return None


def convolution_pays(layer: nn.Conv2d) -> bool:
    """Whether the frequency domain knows this convolution and makes it cheaper."""
    height, width = layer.kernel_size
    return (
        height == width >= MIN_KERNEL
        and layer.in_channels >= MIN_CHANNELS
        and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        and layer.padding in {(same, same) for same in range(height)}
        and layer.padding_mode == "zeros"
        and layer.bias is not None
    )


def accelerated(model: Model) -> Model:
    """A copy of a model, with the same parameter names, in faster layers."""
    model = copy.deepcopy(model)
    for name, layer in list(model.named_modules()):
        replacement = faster(layer)
        if replacement is not None:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, replacement)
    return model
