import pytest
import torch
from torch import nn

from fedward.engine.accelerate import (
    RootResponseNorm,
    SpectralConv2d,
    accelerated,
    faster,
)
from fedward.layout import Layout
from fedward.models import CifarNet, MnistNet, ResNet18


def replaced(model: nn.Module) -> set[str]:
    fast = accelerated(model)
    made = (SpectralConv2d, RootResponseNorm)
    return {name for name, layer in fast.named_modules() if isinstance(layer, made)}


def test_the_layers_that_pay_are_replaced() -> None:
    assert replaced(MnistNet(1, 10)) == {"conv2"}
    assert replaced(CifarNet(3, 10)) == {"norm", "conv2"}
    assert replaced(ResNet18(3, 10)) == set()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(16, 8, 3),
        nn.Conv2d(3, 8, 5),
        nn.Conv2d(16, 8, 5, stride=2),
        nn.Conv2d(16, 8, 5, dilation=2),
        nn.Conv2d(16, 16, 5, groups=2),
        nn.Conv2d(16, 8, (5, 7)),
        nn.Conv2d(16, 8, 5, padding=(1, 2)),
        nn.Conv2d(16, 8, 5, padding="same"),
        nn.Conv2d(16, 8, 5, padding=2, padding_mode="circular"),
        nn.Conv2d(16, 8, 5, bias=False),
        nn.LocalResponseNorm(3),
        nn.LocalResponseNorm(2, beta=0.5),
        nn.Linear(16, 8),
    ],
)
def test_what_the_faster_layers_cannot_do_is_left_alone(layer: nn.Module) -> None:
    assert faster(layer) is None


def test_the_copy_has_the_same_parameters_under_the_same_names() -> None:
    model = CifarNet(3, 10)
    fast = accelerated(model)
    assert Layout.of(fast) == Layout.of(model)
    assert torch.equal(Layout.of(model).flatten(fast), Layout.of(model).flatten(model))
    assert not set(map(id, fast.parameters())) & set(map(id, model.parameters()))
    assert isinstance(model.conv2, nn.Conv2d)


def test_nested_layers_are_found() -> None:
    model = nn.Sequential(nn.Sequential(nn.Conv2d(16, 4, 5, padding=2)), nn.Flatten())
    images = torch.rand(2, 16, 7, 7)
    fast = accelerated(model)
    assert isinstance(fast.get_submodule("0.0"), SpectralConv2d)
    torch.testing.assert_close(fast(images), model(images))


def test_oblong_images_are_left_to_pytorch() -> None:
    layer = nn.Conv2d(16, 4, 5, padding=1)
    images = torch.rand(2, 16, 7, 9)
    assert torch.equal(SpectralConv2d(layer)(images), layer(images))
