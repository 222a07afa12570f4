"""The reference engine: one client after another, plain PyTorch, obviously right."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy

from fedward.engine.network import Network, dropout_masks
from fedward.engine.plan import LocalPlan, batch
from fedward.engine.seam import ClientFailed, Trained
from fedward.layout import Layout
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Reference:
    """Trains with `torch.optim.SGD` and autograd; the truth that fast engines are held to.

    The loss of a batch is ``cross_entropy + penalty * ||w - G||``: the mean over the batch,
    and the L2 norm over all parameters w, with the global model G; the norm's gradient at
    ``w = G`` is taken as zero. Bagdasaryan et al. (AISTATS 2020,
    https://arxiv.org/abs/1807.00459) weigh the two ``alpha : (1 - alpha)``; that is
    ``penalty = (1 - alpha) / alpha`` here, with the learning rate times alpha and the
    weight decay over alpha.

    After a step that projects, ``w`` becomes ``G + (w - G) * radius / ||w - G||`` if it is
    outside the ball; the momentum is left alone (Wang et al., NeurIPS 2020,
    https://arxiv.org/abs/2007.05084).
    """

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """One row or failure a plan, see `fedward.engine.seam.Engine`."""
        rows = params.new_zeros(len(plans), params.numel())
        failures = {}
        for place, plan in enumerate(plans):
            try:
                rows[place] = train(model, params, pixels, plan) - params
            except ClientFailed as failure:
                failures[place] = failure
        return Trained(rows, failures)


def train(
    model: Network,
    params: Float[Tensor, " params"],
    pixels: UInt8[Tensor, "images channels height width"],
    plan: LocalPlan,
) -> Float[Tensor, " params"]:
    """The local model of one client.

    Raises:
        ClientFailed: naming the client and the step that went wrong.
    """
    layout = Layout.of(model)
    layout.load(model, params)
    weights = list(model.parameters())
    start = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.SGD(
        weights, lr=1.0, momentum=plan.momentum, weight_decay=plan.weight_decay
    )
    for step, lr in enumerate(plan.lr):
        try:
            images, labels = batch(plan, pixels, step)
            masks = dropout_masks(model, len(labels), plan.dropout_seed, step)
            logits = model(images, [mask.to(images.device) for mask in masks])
            loss = cross_entropy(logits, labels)
            if plan.penalty:
                loss = loss + plan.penalty * distance(weights, start)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
            if plan.projects(step):
                project(weights, start, plan.radius)
        except Exception as error:
            raise ClientFailed(plan.client, step, error) from error
    return layout.flatten(model)


def distance(weights: Sequence[Tensor], start: Sequence[Tensor]) -> Float[Tensor, ""]:
    """L2 norm of all differences together; PyTorch gives it the gradient 0 at 0."""
    moved = [(w - s).flatten() for w, s in zip(weights, start, strict=True)]
    norm: Tensor = vector_norm(torch.cat(moved))
    return norm


@torch.no_grad()
def project(weights: Sequence[Tensor], start: Sequence[Tensor], radius: float) -> None:
    """Move the weights, in place, onto the ball of this radius round the start."""
    far = float(distance(weights, start))
    if far > radius:
        for weight, origin in zip(weights, start, strict=True):
            weight.copy_(origin + (weight - origin) * (radius / far))
