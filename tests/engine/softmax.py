"""A classifier whose gradient is written by hand, to hold engines against."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fedward.engine.network import Network, dropout_masks
from fedward.engine.plan import LocalPlan

CLASSES = 4
SHAPE = (1, 3, 3)


class Softmax(Network):
    """One linear layer in double precision, with dropout on its inputs."""

    dropout = (math.prod(SHAPE),)

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(SHAPE), CLASSES).double()

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: object = (),
    ) -> Float[Tensor, "batch classes"]:
        inputs = images.double().flatten(1)
        if isinstance(keep, (list, tuple)) and keep:
            inputs = inputs * keep[0]
        logits: Tensor = self.head(inputs)
        return logits


def train_by_hand(params: Tensor, pixels: Tensor, plan: LocalPlan) -> Tensor:
    """The update of one client, with no autograd and no optimiser.

    With one-hot labels Y and softmax P, the gradient of the mean cross-entropy of
    softmax regression is (P - Y)^T [X, 1] / batch.
    """
    units = math.prod(SHAPE)
    w, momentum, done = params.clone(), torch.zeros_like(params), 0
    for step, (size, lr) in enumerate(zip(plan.sizes, plan.lr, strict=True)):
        inputs = []
        for sample in range(done, done + size):
            image = pixels[plan.indices[sample]].clone()
            if plan.trigger is not None and plan.stamped[sample]:
                image[plan.trigger.mask] = plan.trigger.value[plan.trigger.mask]
            inputs.append((image.float() / 255).double().flatten())
        (mask,) = dropout_masks(Softmax(), size, plan.dropout_seed, step)
        x = torch.stack(inputs) * mask
        scores = x @ w[: CLASSES * units].view(CLASSES, units).T + w[CLASSES * units :]
        error = scores.exp() / scores.exp().sum(1, keepdim=True)
        error[torch.arange(size), plan.labels[done : done + size]] -= 1
        gradient = torch.cat([(error.T @ x).flatten(), error.sum(0)]) / size
        moved = w - params
        if plan.penalty and moved.norm() > 0:
            gradient = gradient + plan.penalty * moved / moved.norm()
        gradient = gradient + plan.weight_decay * w
        momentum = plan.momentum * momentum + gradient
        w = w - lr * momentum
        done += size
        if (step + 1) % plan.project_every == 0 or step + 1 == len(plan.sizes):
            w = params + (w - params) * min(1.0, plan.radius / float((w - params).norm()))
    return w - params
