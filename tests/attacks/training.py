"""A small model to train plans with, and its gradients by hand."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from fedward.engine.loop import train
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan, batch
from fedward.layout import Layout


class Linear(Network):
    """Softmax regression on 28 x 28 pixels, 7,850 parameters for ten classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.out = nn.Linear(28 * 28, classes)

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]] = (),
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        logits: Tensor = self.out(images.flatten(1))
        return logits


def trained(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    plan: LocalPlan,
) -> Float[Tensor, " params"]:
    """The local model."""
    return train(model, params, pixels, plan)


def gradient_of(
    model: Linear,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    plan: LocalPlan,
    step: int,
) -> Float[Tensor, " params"]:
    """Of the mean cross entropy of one step: (softmax - one hot) x, by hand."""
    images, labels = batch(plan, pixels, step)
    Layout.of(model).load(model, params)
    with torch.no_grad():
        wrong = model(images).softmax(dim=1)
    wrong[torch.arange(len(labels)), labels] -= 1
    wrong /= len(labels)
    return torch.cat([(wrong.T @ images.flatten(1)).flatten(), wrong.sum(0)])
