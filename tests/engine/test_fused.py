"""Which layers of a model the kernels compute, and that it is the same model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.functional import conv2d, local_response_norm, max_pool2d

from fedward.engine import Reference, Stacked, fused as fused_module, slots
from fedward.engine.fused import Fused, fused, fuses
from fedward.engine.network import Network
from fedward.layout import Layout
from fedward.seeds import stream
from tests.engine.plans import images as drawn_images, varied

pytest.importorskip("triton", reason="Triton is not installed")
from fedward.engine.gpu_rules import RULES

IMAGES = torch.randn(2, 4, 6, 6, generator=stream(0, "fused"))
WEIGHT = torch.randn(5, 4, 3, 3, generator=stream(1, "fused"))
BIAS = torch.randn(5, generator=stream(2, "fused"))


class Small(Network):
    """Every layer that the kernels know, and one that they do not."""

    dropout = (5 * 2 * 2,)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.LocalResponseNorm(2, alpha=0.1)
        self.conv2 = nn.Conv2d(4, 5, 2, stride=2)
        self.head = nn.Linear(5 * 2 * 2, 4)

    def forward(
        self, images: Float[Tensor, "batch 1 8 8"], keep: Any = ()
    ) -> Float[Tensor, "batch 4"]:
        hidden = self.norm(max_pool2d(self.conv1(images), 3, stride=2, padding=1))
        hidden = self.conv2(hidden).relu().flatten(1)
        logits: Tensor = self.head(hidden * keep[0] if keep else hidden)
        return logits


def everywhere(images: Tensor) -> bool:
    return True


Rules = dict[Any, Callable[..., Tensor | None]]


@pytest.fixture
def taken() -> dict[str, int]:
    """How often every rule had an answer."""
    return {}


@pytest.fixture
def rules(taken: dict[str, int]) -> Rules:
    def counted(name: str, rule: Callable[..., Tensor | None]) -> Callable[..., Any]:
        def ask(*args: Any, **named: Any) -> Tensor | None:
            found = rule(*args, **named)
            taken[name] = taken.get(name, 0) + (found is not None)
            return found

        return ask

    return {func: counted(rule.__name__, rule) for func, rule in RULES.items()}


def test_a_stack_of_models_is_trained_by_kernels_to_the_references_numbers(
    rules: Rules, taken: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "fused", lambda device: Fused(rules, everywhere))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        model = Small()
    params = Layout.of(model).flatten(model)
    pixels = drawn_images(30, (1, 8, 8))
    plans = [replace(plan, penalty=0.0) for plan in varied((1, 8, 8), 9, 30)[:2]]
    expected = Reference()(model, params, pixels, plans).complete()
    rows = Stacked(width=2)(model, params, pixels, plans).complete()
    assert (rows - expected).norm() <= 1e-5 * (params + expected).norm()
    # Every step has two convolutions; the second, with its stride, is not theirs.
    steps = max(len(plan.sizes) for plan in plans)
    assert taken == {"convolution": steps, "pooling": steps, "normalisation": steps}


@pytest.mark.parametrize(
    "layer",
    [
        lambda: conv2d(IMAGES, WEIGHT, BIAS, padding=1),
        lambda: conv2d(IMAGES, WEIGHT, padding=(2, 2)),
        lambda: max_pool2d(IMAGES, 2),
        lambda: max_pool2d(IMAGES, (3, 3), stride=2, padding=1),
        lambda: local_response_norm(IMAGES, 2),
    ],
)
def test_layers_of_a_single_model(
    layer: Callable[[], Tensor], rules: Rules, taken: dict[str, int]
) -> None:
    with Fused(rules, everywhere):
        ours = layer()
    assert sum(taken.values()) == 1
    torch.testing.assert_close(ours, layer())


@pytest.mark.parametrize(
    "layer",
    [
        lambda: conv2d(IMAGES, WEIGHT, BIAS, stride=2),
        lambda: conv2d(IMAGES, WEIGHT, BIAS, dilation=2),
        lambda: conv2d(IMAGES, WEIGHT[:4, :1], BIAS[:4], groups=4),
        lambda: conv2d(IMAGES, WEIGHT[:, :, :2], BIAS),
        lambda: conv2d(IMAGES, WEIGHT, BIAS, padding=3),
        lambda: conv2d(IMAGES, WEIGHT, BIAS, padding=(1, 0)),
        lambda: conv2d(IMAGES, WEIGHT, BIAS, padding="same"),
        lambda: max_pool2d(IMAGES, 2, ceil_mode=True),
        lambda: max_pool2d(IMAGES, 2, dilation=2),
        lambda: max_pool2d(IMAGES, (2, 3)),
        lambda: local_response_norm(IMAGES, 3),
        lambda: local_response_norm(IMAGES, 2, beta=0.5),
    ],
)
def test_what_the_kernels_do_not_know_is_pytorchs_to_the_bit(
    layer: Callable[[], Tensor], rules: Rules, taken: dict[str, int]
) -> None:
    with Fused(rules, everywhere):
        ours = layer()
    assert sum(taken.values()) == 0
    assert torch.equal(ours, layer())


def test_weights_that_all_slots_share_and_slots_that_are_not_in_front() -> None:
    many = torch.stack([IMAGES, 2 * IMAGES], dim=2)
    with Fused(RULES, everywhere):
        ours = vmap(lambda x: conv2d(x, WEIGHT, BIAS), in_dims=2)(many)
    expected = torch.stack([conv2d(many[:, :, i], WEIGHT, BIAS) for i in range(2)])
    torch.testing.assert_close(ours, expected)


def test_on_a_cpu_nothing_is_taken() -> None:
    assert not fuses(IMAGES)
    with fused(torch.device("cpu")):
        assert not is_function_mode_on()
    with Fused(RULES, everywhere):
        assert is_function_mode_on()
    assert fused_module.has_triton()


def is_function_mode_on() -> bool:
    return len(torch.overrides._get_current_function_mode_stack()) > 0  # type: ignore[no-untyped-call]


def test_a_model_by_itself_answers_as_it_does_without() -> None:
    model, shown = Small(), torch.randn(3, 1, 8, 8, generator=stream(5, "fused"))
    with torch.no_grad(), Fused(RULES, everywhere):
        ours = model(shown)
    torch.testing.assert_close(ours, model(shown).detach())


def test_what_cannot_be_counted_in_32_bits_is_pytorchs(
    monkeypatch: pytest.MonkeyPatch, rules: Rules, taken: dict[str, int]
) -> None:
    padded, out = 2 * 4 * 8 * 8, 2 * 5 * 6 * 6
    for most in (padded, padded - 1):
        monkeypatch.setattr("fedward.engine.gpu_rules.MOST", most)
        with Fused(rules, everywhere):
            conv2d(IMAGES, WEIGHT, padding=1)
    assert padded > out
    assert taken == {"convolution": 1}


def test_what_pytorch_refuses_is_refused() -> None:
    with Fused(RULES, everywhere):
        with pytest.raises(RuntimeError):
            max_pool2d(IMAGES, 3, padding=2)
        with pytest.raises(RuntimeError):
            max_pool2d(IMAGES, 3, stride=0)
