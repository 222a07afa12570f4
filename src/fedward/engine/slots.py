"""Slots that each hold a local model, and one step of all of them at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.func import functional_call, vmap
from torch.linalg import vector_norm
from torch.nn.functional import cross_entropy

from fedward.engine.fused import fused, fuses
from fedward.engine.network import Network
from fedward.engine.tables import Tables
from fedward.layout import Layout

ALIGNED = 32
"""Numbers at whose multiples rows begin."""


class Slots:
    """As many local models as there are slots, a row of parameters each.

    Nothing that a slot computes uses another slot's numbers, and all shapes are the same at
    every step, whoever is in the slots. So a row of results is the same bits wherever and
    beside whomever it was computed, as long as the device's kernels treat the parts of a
    batched product alike. With fewer slots they would not: PyTorch and its libraries choose
    kernels, and cut up sums for threads, by the shape of the whole.
    """

    def __init__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        tables: Tables,
        width: int,
    ) -> None:
        self.model, self.tables = model, tables
        layout = Layout.of(model)
        self.params = len(params)
        # Sums over a row are added up in an order that depends on where in memory it
        # begins, so all rows begin at a multiple of as much as kernels look at.
        self.rest = params.new_zeros(width, -len(params) % ALIGNED)
        # Idle slots compute too, so they hold a model that is known to be computable.
        self.start = torch.cat([params.expand(width, -1), self.rest], dim=1)
        self.weights = self.start.clone()
        self.velocity, self.gradient = (torch.zeros_like(self.start) for _ in "vg")
        self.leaves = {
            name: self.weights[:, columns].view(width, *shape).requires_grad_()
            for name, columns, shape in zip(
                layout.names, layout.slices, layout.shapes, strict=True
            )
        }
        # A step's tensors do not depend on these two, only whether time is spent on them.
        self.penalises = bool((tables.penalty > 0).any())
        self.projects = bool(tables.radius.isfinite().any())

    def begin(self, slot: int, start: Float[Tensor, " params"]) -> None:
        """Put a client that starts from this model into a slot."""
        with torch.no_grad():
            self.start[slot, : self.params] = start
            # Whole rows: what followed somebody who diverged may be no number.
            self.weights[slot] = self.start[slot]
            self.velocity[slot] = 0

    def update(self, slot: int) -> Float[Tensor, " params"]:
        """Local minus global model of the client in a slot."""
        columns = slice(self.params)
        return self.weights[slot, columns].detach() - self.start[slot, columns]

    def step(
        self,
        pixels: UInt8[Tensor, "images channels height width"],
        rows: Int64[Tensor, " slots"],
    ) -> None:
        """One step of every slot, each by its row of the tables."""
        self.differentiate(pixels, rows)
        with torch.no_grad():
            self.descend(rows)
            if self.projects:
                self.project(self.tables.radius[rows])

    def differentiate(
        self,
        pixels: UInt8[Tensor, "images channels height width"],
        rows: Int64[Tensor, " slots"],
    ) -> None:
        """Leave the gradient of every slot's cross-entropy in ``self.gradient``."""
        images = self.tables.images(pixels, rows)
        keep = self.tables.dropout(rows, self.model.dropout)
        with fused(pixels.device):
            losses = vmap(self.losses)(self.leaves, images, keep, self.tables.labels[rows])
        mean = losses * self.tables.weights[rows]
        # The sum over slots is a way to ask for all gradients, each by its own slot.
        gradients = torch.autograd.grad(mean.sum(), list(self.leaves.values()))
        rows_of = [*(g.flatten(1) for g in gradients), self.rest]
        torch.cat(rows_of, dim=1, out=self.gradient)

    def losses(
        self,
        weights: dict[str, Tensor],
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Float[Tensor, "batch _"]],
        labels: Int64[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """Cross-entropy of every image, for the model of one slot."""
        logits = functional_call(self.model, weights, (images, keep))
        return cross_entropy(logits, labels, reduction="none")

    def descend(self, rows: Int64[Tensor, " slots"]) -> None:
        """SGD with momentum and weight decay, as `torch.optim.SGD` defines it."""
        table = self.tables
        gradient = self.gradient
        if self.penalises:
            moved = self.weights - self.start
            far, penalty = vector_norm(moved, dim=1), table.penalty[rows]
            pull = torch.where(far > 0, penalty / far, 0)[:, None]
            # Not plus 0: where nothing pulls, the bits are those without penalties.
            gradient = torch.where(pull > 0, gradient + pull * moved, gradient)
        if fuses(gradient):
            from fedward.engine.gpu_layers import descend

            settings = table.lr[rows], table.momentum[rows], table.decay[rows]
            descend(self.weights, self.velocity, gradient, *settings)
            return
        gradient = gradient.addcmul(table.decay[rows, None], self.weights)
        self.velocity.mul_(table.momentum[rows, None]).add_(gradient)
        self.weights.addcmul_(table.lr[rows, None], self.velocity, value=-1)

    def project(self, radius: Float[Tensor, " slots"]) -> None:
        """Move every slot's model onto the ball of its radius round its start."""
        moved = self.weights - self.start
        far = vector_norm(moved, dim=1)
        onto = self.start + moved * (radius / far)[:, None]
        self.weights.copy_(torch.where((far > radius)[:, None], onto, self.weights))
