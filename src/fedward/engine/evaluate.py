"""What a model answers, in large batches over all workers."""

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fedward.engine.accelerate import accelerated
from fedward.engine.network import Network
from fedward.engine.plan import unit
from fedward.engine.workers import spread
from fedward.layout import Layout

BATCH = 125
"""Images at a time: on a CPU, what their activations need should stay in its cache."""


def predict(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    batch: int = BATCH,
    workers: int | None = None,
) -> Int64[Tensor, " images"]:
    """The class with the largest logit (the first of equals), for every image.

    Args:
        model: used as a workspace; its parameters on return are ``params``.
        params: the model's parameters, by its layout.
        pixels: images, on the device that computes.
        batch: images at a time.
        workers: threads on a CPU; None for one a usable CPU. Answers do not depend on it.
    """
    Layout.of(model).load(model, params)
    fast = accelerated(model) if pixels.is_cpu else model

    def answer(part: UInt8[Tensor, "part channels height width"]) -> Tensor:
        with torch.inference_mode():
            images = unit(part).to(memory_format=torch.channels_last)
            answers: Tensor = fast(images).argmax(dim=1)
            return answers

    parts = torch.split(pixels, batch)
    return torch.cat(spread(answer, parts, workers if pixels.is_cpu else 1))


def accuracy(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    labels: Int64[Tensor, " images"],
    batch: int = BATCH,
    workers: int | None = None,
) -> float:
    """Share of images answered with their label, in [0, 1].

    Raises:
        ValueError: if there are no images, because their share is undefined.
    """
    if len(pixels) == 0:
        raise ValueError("a share of right answers needs at least one image, got none")
    answers = predict(model, params, pixels, batch, workers)
    return float((answers == labels.to(pixels.device)).double().mean())


def success_rate(
    model: Network,
    params: Float[Tensor, " params"],
    stamped: UInt8[Tensor, "images channels height width"],
    targets: Int64[Tensor, " images"],
    batch: int = BATCH,
    workers: int | None = None,
) -> float:
    """Share of stamped images answered with the attacker's target, in [0, 1].

    Stamp the images once and keep them. None should be of its target's class already.

    Raises:
        ValueError: if there are no images.
    """
    return accuracy(model, params, stamped, targets, batch, workers)
