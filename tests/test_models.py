import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor
from torch.nn.functional import local_response_norm, max_pool2d, relu

from fedward.engine.network import dropout_masks
from fedward.layout import Layout
from fedward.models import MODELS, CifarNet, MnistNet, make_model
from fedward.settings import UnknownName


def conv(inputs: int, outputs: int, side: int, bias: bool = True) -> int:
    return inputs * outputs * side * side + bias * outputs


def linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def residual(inputs: int, outputs: int) -> int:
    norms = 2 * 2 * outputs
    both = conv(inputs, outputs, 3, bias=False) + conv(outputs, outputs, 3, bias=False)
    if inputs == outputs:
        return both + norms
    return both + norms + conv(inputs, outputs, 1, bias=False) + 2 * outputs


COUNTS = {
    "mnistnet": conv(1, 20, 5)
    + conv(20, 50, 5)
    + linear(50 * 4 * 4, 500)
    + linear(500, 10),
    "perceptron": linear(28 * 28, 32) + linear(32, 10),
    "cifarnet": conv(3, 64, 5)
    + conv(64, 64, 5)
    + linear(64 * 8 * 8, 384)
    + linear(384, 192)
    + linear(192, 10),
    "resnet18": conv(3, 64, 3, bias=False)
    + 2 * 64
    + sum(
        residual(before, width) + residual(width, width)
        for before, width in [(64, 64), (64, 128), (128, 256), (256, 512)]
    )
    + linear(512, 10),
}


def test_the_paper_counts_these_parameters() -> None:
    assert (COUNTS["mnistnet"], COUNTS["cifarnet"]) == (431_080, 1_756_426)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_follow_from_the_shapes(name: str) -> None:
    card = MODELS[name]
    model = make_model(name, card.shapes[0], 10, seed=1)
    assert COUNTS[name] == card.params == Layout.of(model).params
    assert not list(model.buffers()), "a buffer would leave the round unscreened"


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [(name, shape, 7) for name, card in MODELS.items() for shape in card.shapes],
)
def test_every_shape_of_a_card_gives_logits(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    model = make_model(name, shape, classes, seed=1)
    with torch.inference_mode():
        logits = model(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()
    assert not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("name", MODELS)
def test_initialisation_belongs_to_the_seed_alone(name: str) -> None:
    shape = MODELS[name].shapes[0]
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = make_model(name, shape, 10, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    row = Layout.of(first).flatten(first)
    for seed, same in [(1, True), (2, False)]:
        again = make_model(name, shape, 10, seed=seed)
        assert torch.equal(Layout.of(again).flatten(again), row) is same


def test_initialisation_has_the_spread_of_pytorch() -> None:
    """Uniform in 1 / sqrt(fan in), for weights and biases."""
    model = make_model("mnistnet", (1, 28, 28), 10, seed=5)
    for name, fan_in in [("conv1", 25), ("conv2", 500), ("fc1", 800), ("fc2", 500)]:
        layer = dict(model.named_children())[name]
        for param in layer.parameters():
            assert param.abs().max() <= 1 / math.sqrt(fan_in)
        weight = next(layer.parameters())
        assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.1)


def test_wrong_requests_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="mnistnet takes images of 1x28x28, got 3x32x32"):
        make_model("mnistnet", (3, 32, 32), 10, seed=1)
    with pytest.raises(ValueError, match="3x32x32 or 1x28x28, got 1x32x32"):
        make_model("resnet18", (1, 32, 32), 10, seed=1)
    with pytest.raises(UnknownName, match="Did you mean 'mnistnet'"):
        make_model("mnistnets", (1, 28, 28), 10, seed=1)
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        make_model("mnistnet", (1, 28, 28), 1, seed=1)


def gradients(model: torch.nn.Module, logits: torch.Tensor) -> list[torch.Tensor]:
    weight = torch.linspace(-1, 1, logits.numel()).view_as(logits)
    return list(torch.autograd.grad((logits * weight).sum(), list(model.parameters())))


def test_perceptron_by_hand() -> None:
    model = make_model("perceptron", (1, 28, 28), 10, seed=1)
    first, bias1, second, bias2 = (p.detach().double() for p in model.parameters())
    images = torch.rand(4, 1, 28, 28)
    hidden = (images.double().view(4, 784) @ first.T + bias1).clamp(min=0)
    assert torch.allclose(model(images).double(), hidden @ second.T + bias2, atol=1e-6)


def test_mnistnet_rectified_before_the_pool_is_the_same_bit_for_bit() -> None:
    model = MnistNet(1, 10)
    images = torch.rand(8, 1, 28, 28)
    hidden = max_pool2d(relu(model.conv1(images)), 2)
    hidden = max_pool2d(relu(model.conv2(hidden)), 2)
    expected = model.fc2(relu(model.fc1(hidden.flatten(1))))
    assert torch.equal(model(images), expected)
    pairs = zip(gradients(model, model(images)), gradients(model, expected), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_cifarnet_in_the_order_of_the_paper_is_the_same_bit_for_bit() -> None:
    """ReLU before the first pool, and dropout as masks before the linear layers."""
    model = CifarNet(3, 10)
    images = torch.rand(4, 3, 32, 32)
    keep = dropout_masks(model, 4, seed=9, step=2)
    hidden = max_pool2d(relu(model.conv1(images)), 3, 2, 1)
    hidden = relu(model.conv2(local_response_norm(hidden, 2)))
    hidden = max_pool2d(local_response_norm(hidden, 2), 3, 2, 1).flatten(1)
    hidden = relu(model.fc1(hidden * keep[0]))
    expected = model.fc3(relu(model.fc2(hidden * keep[1])))
    assert torch.equal(model(images, keep), expected)
    assert not torch.equal(model(images), expected)
    pairs = zip(
        gradients(model, model(images, keep)), gradients(model, expected), strict=True
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_models_made_on_threads_at_once_are_those_made_one_by_one() -> None:
    def made(seed: int) -> Tensor:
        begun.wait()
        model = make_model("mnistnet", (1, 28, 28), 10, seed)
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    begun = Barrier(1)
    alone = [made(seed) for seed in range(16)]
    begun = Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(made, range(16)))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_dropping_nothing_is_evaluation() -> None:
    model = CifarNet(3, 10)
    images = torch.rand(2, 3, 32, 32)
    kept = [torch.ones(2, units) for units in model.dropout]
    assert torch.equal(model(images, kept), model(images))
