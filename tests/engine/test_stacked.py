import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor

from fedward import models
from fedward.engine import slots
from fedward.engine.loop import Reference
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan
from fedward.engine.precision import exact_float32
from fedward.engine.slots import ALIGNED, Slots
from fedward.engine.stacked import CPU_WIDTH, Stacked, default_width, filled, slot_bytes
from fedward.engine.tables import IDLE, tabulate
from fedward.layout import Layout
from tests.engine.plans import honest, images, poisoned, varied
from tests.engine.softmax import SHAPE as SOFTMAX_SHAPE, Softmax

POOL = 40
NAMES = ["mnistnet", "cifarnet", "resnet18"]
SHAPES = {"mnistnet": (1, 28, 28), "cifarnet": (3, 32, 32), "resnet18": (3, 8, 8)}


def network(name: str) -> Network:
    """The model, the residual one with two narrow stages for images of 8x8."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        if name == "resnet18":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(models, "STAGES", ((32, 1), (32, 2)))
                return models.ResNet18(3, 10)
        return models.MODELS[name].build(SHAPES[name][0], 10)


def plans_for(name: str) -> list[LocalPlan]:
    """Unequal lengths and batches; attackers among them; few steps of the large models."""
    if name != "mnistnet":
        plans = varied(SHAPES[name], 5, POOL)
        return [plans[4], plans[2], plans[3]]
    plans = varied(SHAPES[name], 9, POOL)
    wide = replace(plans[1], client=8, sizes=(15, 5), lr=(0.05, 0.05))
    return [*plans[:5], honest(7, 1, POOL, 4), wide]


Setting = tuple[Network, torch.Tensor, torch.Tensor, list[LocalPlan]]


@pytest.fixture(params=NAMES)
def setting(request: pytest.FixtureRequest) -> Setting:
    model = network(request.param)
    params = Layout.of(model).flatten(model)
    return model, params, images(POOL, SHAPES[request.param]), plans_for(request.param)


class Double(Network):
    """A model in double precision."""

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.inner = copy.deepcopy(model).double()
        self.dropout = model.dropout  # type: ignore[misc]

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        keep: Sequence[Tensor] = (),
    ) -> Float[Tensor, "batch classes"]:
        logits: Tensor = self.inner(images.double(), [mask.double() for mask in keep])
        return logits


def test_local_models_equal_the_reference(setting: Setting) -> None:
    """To 1e-5 of the model; of the update only as far as float32 knows it."""
    model, params, pixels, plans = setting
    expected = Reference()(model, params, pixels, plans).complete()
    rows = Stacked(width=3)(model, params, pixels, plans).complete()
    for row, truth in zip(rows, expected, strict=True):
        assert (row - truth).norm() <= 1e-5 * (params + truth).norm()
        assert (row - truth).norm() <= 5e-3 * truth.norm()


def test_in_double_precision_only_the_algorithm_could_differ(setting: Setting) -> None:
    single, _, pixels, plans = setting
    model = Double(single)
    params = Layout.of(model).flatten(model)
    assert params.dtype == torch.float64
    expected = Reference()(model, params, pixels, plans[:3]).complete()
    rows = Stacked(width=2)(model, params, pixels, plans[:3]).complete()
    for row, truth in zip(rows, expected, strict=True):
        assert (row - truth).norm() <= 1e-11 * truth.norm()


def test_a_row_is_the_same_bits_in_every_slot_and_beside_anybody(setting: Setting) -> None:
    model, params, pixels, plans = setting
    engine = Stacked(width=2)
    rows = engine(model, params, pixels, plans).complete()
    backwards = engine(model, params, pixels, plans[::-1]).complete()
    assert torch.equal(backwards.flip(0), rows)
    for place in (0, 1):
        assert torch.equal(
            engine(model, params, pixels, [plans[place]]).rows[0], rows[place]
        )
    # More plans, other lengths and batches, one that diverges: other slots, other ticks.
    wild = replace(plans[0], lr=(1e30,) * len(plans[0].lr))
    crowded = engine(model, params, pixels, [wild, plans[1], *plans]).complete()
    assert torch.equal(crowded[1:], torch.cat([rows[1:2], rows]))


def test_nothing_of_somebody_who_diverged_stays_in_a_slot() -> None:
    """With 1e39, infinite in float32, what pads a row to its length becomes no number."""
    model = network("mnistnet")
    params = Layout.of(model).flatten(model)
    assert len(params) % ALIGNED
    pixels, plans = images(POOL, (1, 28, 28)), plans_for("mnistnet")
    wild = replace(plans[0], lr=(1e39,) * len(plans[0].lr))
    for quiet in (replace(plans[1], radius=1e-3), replace(plans[1], penalty=0.5)):
        shorter = replace(quiet, lr=quiet.lr[:1], sizes=(len(quiet.indices),))
        alone = Stacked(width=1)(model, params, pixels, [shorter]).complete()
        behind = Stacked(width=1)(model, params, pixels, [wild, shorter]).rows
        assert not behind[0].isfinite().all()
        assert torch.equal(behind[1], alone[0])


def test_the_number_of_slots_changes_rounding_at_most() -> None:
    model = network("mnistnet")
    params = Layout.of(model).flatten(model)
    pixels, plans = images(POOL, (1, 28, 28)), plans_for("mnistnet")[:3]
    rows = Stacked(width=1)(model, params, pixels, plans).rows
    for width in (2, 5):
        others = Stacked(width=width)(model, params, pixels, plans).rows
        assert (others - rows).norm() <= 1e-5 * (params + rows).norm()


def test_runs_with_different_models_are_stacked_without_a_trace() -> None:
    model = network("mnistnet")
    params = Layout.of(model).flatten(model)
    pixels, plans = images(POOL, (1, 28, 28)), plans_for("mnistnet")[1:5]
    starts = [params, 0.9 * params, params, 0.9 * params]
    together = Stacked(width=3).train(model, starts, pixels, plans).complete()
    for start, run in ((params, slice(0, 4, 2)), (0.9 * params, slice(1, 4, 2))):
        alone = Stacked(width=3)(model, start, pixels, plans[run]).complete()
        assert torch.equal(together[run], alone)


def test_attackers_with_longer_training_do_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps of the stack: as many as the longest client has, for all to be done."""
    taken: list[Tensor] = []
    step = Slots.step

    def counted(self: Slots, pixels: Tensor, rows: Tensor) -> None:
        taken.append(rows)
        step(self, pixels, rows)

    monkeypatch.setattr(Slots, "step", counted)
    model = Softmax()
    params = Layout.of(model).flatten(model)
    pixels = images(60, SOFTMAX_SHAPE)
    long = replace(honest(0, 24, 60, 4), sizes=(8,) * 6, lr=(0.1,) * 6)
    short = [replace(honest(c, 8, 60, 4), sizes=(8, 8), lr=(0.1,) * 2) for c in range(1, 4)]
    Stacked(width=2)(model, params, pixels, [*short, long])
    assert len(taken) == 6


def test_steps_are_filled_up_by_their_own_plan_to_few_sizes() -> None:
    assert [filled(size) for size in (1, 2, 3, 5, 8, 9, 64, 65)] == [
        1,
        2,
        4,
        8,
        8,
        16,
        64,
        128,
    ]


def test_float32_is_exact_inside_and_as_before_outside() -> None:
    def precision() -> tuple[bool, bool, str]:
        cudnn = torch.backends.cudnn
        return cudnn.allow_tf32, cudnn.deterministic, torch.get_float32_matmul_precision()

    before = precision()
    torch.set_float32_matmul_precision("high")
    try:
        with exact_float32():
            assert precision() == (False, True, "highest")
        assert precision() == (*before[:2], "high")
    finally:
        torch.set_float32_matmul_precision(before[2])


def test_training_is_done_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    losses = Slots.losses

    def watched(self: Slots, *args: object) -> Tensor:
        seen.append(torch.backends.cudnn.allow_tf32)
        return losses(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(slots.Slots, "losses", watched)
    model = Softmax()
    params = Layout.of(model).flatten(model)
    Stacked()(model, params, images(60, SOFTMAX_SHAPE), [honest(0, 9, 60, 4)])
    assert seen == [False] * 4


def test_memory_of_a_slot_counts_what_the_backward_pass_needs() -> None:
    """Convolutions keep their inputs and kernels, pooling its input and the winners' places
    (8 bytes), ReLU its outputs, linear layers their inputs, the loss log-probabilities,
    which are its softmax's output and its mean's input."""
    model = network("mnistnet")
    pooled = 20 * 12 * 12 + 50 * 4 * 4
    inputs = 28 * 28 + 20 * 12 * 12 + 50 * 4 * 4 + 500
    image = 4 * (inputs + 20 * 24 * 24 + 50 * 8 * 8 + pooled + 500 + 20) + 8 * (pooled + 1)
    grows = slot_bytes(model, 9, (1, 28, 28)) - slot_bytes(model, 8, (1, 28, 28))
    assert grows == 2 * image
    assert slot_bytes(model, 8, (1, 28, 28)) >= 8 * 4 * 431_080 + 2 * 8 * image


def test_default_slots_on_a_cpu() -> None:
    model = network("mnistnet")
    assert default_width(model, 64, images(1, (1, 28, 28))) == CPU_WIDTH
    with pytest.raises(ValidationError):
        Stacked(width=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_rows_equal_the_reference_and_repeat_their_bits(setting: Setting) -> None:
    model, params, pixels, plans = setting
    # Not any client: with number 9 a unit of the residual network is at ReLU's kink, and
    # an error of 1e-7 in its first layer, of the reference itself, becomes one of 2e-4.
    plans = [*plans, poisoned(honest(10, 17, POOL, 4), pixels.shape[1:])]
    expected = Reference()(model, params, pixels, plans).complete()
    model, params, pixels = model.cuda(), params.cuda(), pixels.cuda()
    engine = Stacked()
    rows = engine(model, params, pixels, plans).complete()
    assert rows.is_cuda
    for row, truth in zip(rows.cpu(), expected, strict=True):
        assert (row - truth).norm() <= 1e-5 * (params.cpu() + truth).norm()
    assert torch.equal(engine(model, params, pixels, plans).rows, rows)
    assert torch.equal(engine(model, params, pixels, plans[::-1]).rows.flip(0), rows)
    assert torch.equal(engine(model, params, pixels, plans[1:2]).rows[0], rows[1])
    assert torch.equal(engine(model, params, pixels, plans * 4).rows, rows.repeat(4, 1))


def test_rows_begin_where_sums_do_not_notice(setting: Setting) -> None:
    """Kernels add up in another order what does not begin at a multiple of their width."""
    model, params, pixels, plans = setting
    tables = tabulate(model, plans[:2], 16, params, pixels)
    stack = Slots(model, params, tables, 3)
    for rows in (stack.weights, stack.start, stack.velocity, stack.gradient):
        assert rows.is_contiguous()
        assert rows.stride(0) * rows.element_size() % 128 == 0
    slots_step = torch.tensor([tables.first[0], tables.first[1], IDLE])
    stack.begin(0, params)
    stack.begin(1, params)
    stack.step(pixels, slots_step)
    assert not stack.weights[:, len(params) :].any()
    assert stack.update(1).shape == params.shape
