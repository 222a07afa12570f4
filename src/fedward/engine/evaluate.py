"""What a model answers, in large batches."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fedward.engine.network import Network
from fedward.engine.plan import unit
from fedward.layout import Layout


def predict(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    batch: int = 2000,
) -> Int64[Tensor, " images"]:
    """The class with the largest logit (the first of equals), for every image.

    Args:
        model: used as a workspace; its parameters on return are ``params``.
        params: the model's parameters, by its layout.
        pixels: images, on the device that computes.
        batch: images at a time.
    """
    Layout.of(model).load(model, params)
    with torch.inference_mode():
        answers = [model(unit(part)).argmax(dim=1) for part in torch.split(pixels, batch)]
    return torch.cat(answers)


def accuracy(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    labels: Int64[Tensor, " images"],
    batch: int = 2000,
) -> float:
    """Share of images answered with their label, in [0, 1].

    Raises:
        ValueError: if there are no images, because their share is undefined.
    """
    if len(pixels) == 0:
        raise ValueError("a share of right answers needs at least one image, got none")
    right = predict(model, params, pixels, batch) == labels.to(pixels.device)
    return float(right.double().mean())


def success_rate(
    model: Network,
    params: Float[Tensor, " params"],
    stamped: UInt8[Tensor, "images channels height width"],
    targets: Int64[Tensor, " images"],
    batch: int = 2000,
) -> float:
    """Share of stamped images answered with the attacker's target, in [0, 1].

    Stamp the images once and keep them. None should be of its target's class already.

    Raises:
        ValueError: if there are no images.
    """
    return accuracy(model, params, stamped, targets, batch)
