"""The fast engine for CPUs: whole clients on threads.

A small model does not fill several cores with one matrix product, so every core is given
clients of its own. What else is gained over the reference: images and activations with
channels last, and all parameters in one tensor, so that a step of SGD is one operation.
"""

import threading
from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy
from torch.optim.sgd import sgd

from fedward.engine.accelerate import accelerated
from fedward.engine.network import Network, dropout_masks
from fedward.engine.plan import LocalPlan, batch
from fedward.engine.seam import ClientFailed, Trained
from fedward.engine.workers import spread
from fedward.layout import Layout
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Parallel:
    """Clients on threads; the numbers of the reference up to rounding.

    A row is bit for bit the same whatever the number of workers, the neighbours and their
    order, because one thread computes a client from start to end.

    Attributes:
        workers: threads; None for one a usable CPU.
    """

    workers: int | None = Field(default=None, ge=1)

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """One row or failure a plan, see `fedward.engine.seam.Engine`.

        Raises:
            ValueError: if the images are not on the CPU.
        """
        if pixels.device.type != "cpu":
            raise ValueError(
                f"the parallel engine needs images on the CPU, got {pixels.device}"
            )
        rows = params.new_zeros(len(plans), params.numel())
        local = threading.local()

        def work(number: int) -> ClientFailed | None:
            if not hasattr(local, "trainer"):
                local.trainer = Trainer(model, params)
            try:
                local.trainer.train(pixels, plans[number], out=rows[number])
            except ClientFailed as failure:
                return failure
            return None

        # Longest first: a long plan that starts last would leave the other workers idle.
        order = sorted(range(len(plans)), key=lambda i: -len(plans[i].indices))
        raised = zip(order, spread(work, order, self.workers), strict=True)
        return Trained(rows, {number: failure for number, failure in raised if failure})


class Trainer:
    """A worker's own copy of the model, with all parameters in one tensor."""

    def __init__(self, model: Network, params: Float[Tensor, " params"]) -> None:
        self.start = params
        self.model = accelerated(model)
        self.flat = params.clone().requires_grad_()
        self.gradient = self.flat.grad = torch.zeros_like(params)
        layout = Layout.of(model)
        gradients = layout.unflatten(self.gradient)
        for name, view in layout.unflatten(self.flat.detach()).items():
            weight = self.model.get_parameter(name)
            weight.data = view
            weight.grad = gradients[name]

    def train(
        self,
        pixels: UInt8[Tensor, "images channels height width"],
        plan: LocalPlan,
        out: Float[Tensor, " params"],
    ) -> None:
        """Write local minus global model into ``out``.

        Raises:
            ClientFailed: naming the client and the step that went wrong.
        """
        with torch.no_grad():
            self.flat.copy_(self.start)
        momentum: list[Tensor | None] = [None]
        for step, lr in enumerate(plan.lr):
            try:
                self.differentiate(pixels, plan, step)
                self.descend(plan, lr, momentum)
                if plan.projects(step):
                    self.project(plan.radius)
            except Exception as error:
                raise ClientFailed(plan.client, step, error) from error
        torch.sub(self.flat.detach(), self.start, out=out)

    def differentiate(
        self,
        pixels: UInt8[Tensor, "images channels height width"],
        plan: LocalPlan,
        step: int,
    ) -> None:
        """Leave the gradient of one step's loss in ``self.gradient``."""
        images, labels = batch(plan, pixels, step)
        masks = dropout_masks(self.model, len(labels), plan.dropout_seed, step)
        # `contiguous` would leave images of one channel, whose format is ambiguous, alone.
        images = images.to(memory_format=torch.channels_last)
        self.gradient.zero_()
        torch.autograd.backward(cross_entropy(self.model(images, masks), labels))
        if plan.penalty:
            moved = self.flat.detach() - self.start
            far = float(vector_norm(moved))
            if far > 0:
                self.gradient.add_(moved, alpha=plan.penalty / far)

    @torch.no_grad()
    def descend(self, plan: LocalPlan, lr: float, momentum: list[Tensor | None]) -> None:
        """One step of SGD; ``momentum`` is kept from step to step of a plan.

        What `torch.optim.SGD` calls. The class itself would import the compiler, which
        takes longer than the first round.
        """
        sgd(
            [self.flat],
            [self.gradient],
            momentum,
            fused=True,
            weight_decay=plan.weight_decay,
            momentum=plan.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )

    @torch.no_grad()
    def project(self, radius: float) -> None:
        """Move the parameters onto the ball of this radius round the global model."""
        moved = self.flat - self.start
        far = float(vector_norm(moved))
        if far > radius:
            torch.add(self.start, moved, alpha=radius / far, out=self.flat)
