"""The engine for GPUs: many clients in one step.

A small model does not fill a GPU, and starting a kernel costs more than its work. So every
step is taken for many clients at once, by `torch.func.vmap` and, on a GPU, our own kernels.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan, unit
from fedward.engine.precision import exact_float32
from fedward.engine.seam import Trained
from fedward.engine.slots import Slots
from fedward.engine.tables import IDLE, fault, tabulate, timetable
from fedward.layout import Layout
from fedward.settings import STRICT

WIDEST = 32
"""Slots of a GPU at most: more compute no faster, and more are idle at a round's end."""

CPU_WIDTH = 4
"""A CPU gains nothing from more, and idle slots cost it as much as busy ones."""

ROOM, SHARE = 4 << 30, 0.5
"""Bytes that the slots may fill, and of a smaller GPU's memory which part."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Stacked:
    """Clients in slots, a step of all slots at a time; the reference's numbers to rounding.

    A client that is done leaves its slot to the next one. Clients whose largest batches are
    filled up to the same size share the slots; those of another size are trained after
    them. A row is the same bits whatever is trained beside it, on one device, with one
    ``width`` and, on a CPU, one number of PyTorch's threads.

    Everything is float32 (or what the parameters are), TF32 is switched off for the call.

    Attributes:
        width: slots; None for `CPU_WIDTH` on a CPU, and elsewhere for `WIDEST` or as many
            as `ROOM` holds, or half of the device's memory. Not of what is free: then a
            row's bits would depend on who else uses the device.
    """

    width: int | None = Field(default=None, ge=1)

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """One row or failure a plan, see `fedward.engine.seam.Engine`."""
        return self.train(model, [params] * len(plans), pixels, plans)

    def train(
        self,
        model: Network,
        starts: Sequence[Float[Tensor, " params"]],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """The same for plans that start from different models: several runs at once.

        Args:
            model: whose layers all plans train.
            starts: the global model of every plan.
            pixels: the images of all runs, on the device that trains.
            plans: one a client and run.

        Raises:
            Exception: what the model or the device raises in a step of many clients, such
                as that memory ran out: it is nobody's own failure.
        """
        classes = answers(model, pixels)
        faults = {i: fault(plan, pixels, classes) for i, plan in enumerate(plans)}
        failures = {i: failure for i, failure in faults.items() if failure}
        rows = next(model.parameters()).new_zeros(len(plans), Layout.of(model).params)
        groups: dict[int, list[int]] = {}
        for place, plan in enumerate(plans):
            if plan.sizes and place not in failures:
                groups.setdefault(filled(max(plan.sizes)), []).append(place)
        with exact_float32():
            for batch, places in groups.items():
                width = self.width or default_width(model, batch, pixels)
                members = [plans[place] for place in places]
                begun = [starts[place] for place in places]
                tables = tabulate(model, members, batch, begun[0], pixels)
                slots = Slots(model, begun[0], tables, width)
                steps = [len(plan.sizes) for plan in members]
                for member, row in run(slots, begun, pixels, steps):
                    rows[places[member]] = row
        return Trained(rows, failures)


def run(
    slots: Slots,
    starts: Sequence[Float[Tensor, " params"]],
    pixels: UInt8[Tensor, "images channels height width"],
    steps: Sequence[int],
) -> Iterator[tuple[int, Float[Tensor, " params"]]]:
    """Number and update of every plan of so many steps, as they get done."""
    first = slots.tables.first
    table = timetable(steps, len(slots.weights))
    # At once: to send every tick's rows by themselves would have each tick waited for.
    rows = torch.tensor(
        [[first[t[0]] + t[1] if t else IDLE for t in tick] for tick in table],
        device=pixels.device,
    )
    for tick, now in zip(table, rows, strict=True):
        busy = [(slot, *task) for slot, task in enumerate(tick) if task is not None]
        for slot, number, step in busy:
            if step == 0:
                slots.begin(slot, starts[number])
        slots.step(pixels, now)
        for slot, number, step in busy:
            if step == steps[number] - 1:
                yield number, slots.update(slot)


def filled(size: int) -> int:
    """Images that a step of this size is filled up to: the next power of two.

    By the plan alone, never by its neighbours', whose bits it would change.
    """
    return 1 << (size - 1).bit_length()


def answers(model: Network, pixels: UInt8[Tensor, "images channels height width"]) -> int:
    """How many classes a model tells apart."""
    blank = pixels.new_zeros(1, *pixels.shape[1:])
    with torch.no_grad():
        return int(model(unit(blank)).shape[1])


def default_width(
    model: Network, batch: int, pixels: UInt8[Tensor, "images channels height width"]
) -> int:
    """Slots that suit the device of the images."""
    if pixels.device.type != "cuda":
        return CPU_WIDTH
    _, memory = torch.cuda.mem_get_info(pixels.device)
    needed = slot_bytes(model, batch, pixels.shape[1:])
    return max(1, min(WIDEST, min(ROOM, int(SHARE * memory)) // needed))


def slot_bytes(model: Network, batch: int, shape: Sequence[int]) -> int:
    """Memory that one slot takes, found by a step on tensors that have none.

    Eight rows of parameters (start, model, velocity, gradient, and as many on the way), and
    twice what is kept for the backward pass, whose results are as large.
    """
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    weights = {
        name: torch.empty_like(weight, device="meta").requires_grad_()
        for name, weight in model.named_parameters()
    }
    images = torch.empty(batch, *shape, device="meta")
    keep = [torch.empty(batch, units, device="meta") for units in model.dropout]
    labels = torch.empty(batch, dtype=torch.long, device="meta")
    with saved_tensors_hooks(count, lambda tensor: tensor):
        cross_entropy(functional_call(model, weights, (images, keep)), labels)
    row = sum(weight.numel() * weight.element_size() for weight in weights.values())
    return 8 * row + 2 * kept
