from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.functional import conv2d, local_response_norm, max_pool2d, relu

from fedward.engine.patches import NotLocal, Patch, largest_of_four
from fedward.engine.variants import Variants
from fedward.models import CifarNet, MnistNet, ResNet18


def numbers(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def changed(images: Tensor, top: int, left: int, rows: int, columns: int) -> Patch:
    return Patch(top, left, numbers(*images.shape[:2], rows, columns))


def pasted(images: Tensor, patch: Patch) -> Tensor:
    images = images.clone()
    rows, columns = patch.values.shape[-2:]
    images[..., patch.top : patch.top + rows, patch.left : patch.left + columns] = (
        patch.values
    )
    return images


def variants_of(
    of: Callable[[Any], Any], images: Tensor, patches: list[Patch]
) -> list[Tensor]:
    """Through the rules; patches are pasted back into the clean activations."""
    found = of(Variants(images, patches))
    assert isinstance(found, Variants)
    whole = [
        pasted(found.clean, change) if isinstance(change, Patch) else change.values
        for change in found.changes
    ]
    return [found.clean, *whole]


def assert_equal(of: Callable[[Any], Any], images: Tensor, patches: list[Patch]) -> None:
    """The plain way is the naive reference: every variant as if it were alone."""
    ours = variants_of(of, images, patches)
    asked = [images, *(pasted(images, patch) for patch in patches)]
    for one, each in zip(ours, asked, strict=True):
        torch.testing.assert_close(one, of(each), rtol=1e-9, atol=1e-9)


@st.composite
def places(draw: st.DrawFn, height: int, width: int) -> tuple[int, int, int, int]:
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    rows = draw(st.integers(1, height - top))
    return top, left, rows, draw(st.integers(1, width - left))


@given(
    data=st.data(),
    size=st.tuples(st.integers(4, 12), st.integers(4, 12)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    layer=st.sampled_from(["convolution", "pooling"]),
)
@settings(max_examples=40, deadline=None)
def test_a_patch_behind_windows_is_where_the_plain_way_differs(
    data: st.DataObject,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    padding: int,
    layer: str,
) -> None:
    assume(2 * padding <= kernel)
    images = numbers(2, 3, *size)
    patches = [changed(images, *data.draw(places(*size))) for _ in range(2)]
    weight, bias = numbers(4, 3, kernel, kernel), numbers(4)
    if layer == "convolution":
        assert_equal(lambda x: conv2d(x, weight, bias, stride, padding), images, patches)
    else:
        assert_equal(lambda x: max_pool2d(x, kernel, stride, padding), images, patches)


@pytest.mark.parametrize("shape", [(3, 20, 8, 6), (2, 5, 9, 7), (1, 1, 2, 2)])
def test_the_largest_of_four_is_that_of_pooling_to_the_bit(shape: tuple[int, ...]) -> None:
    images = numbers(*shape).float()
    images[0, 0, 0, 0], images[0, 0, 0, 1] = torch.nan, torch.inf
    for laid in (images, images.to(memory_format=torch.channels_last)):
        torch.testing.assert_close(
            largest_of_four(laid), max_pool2d(laid, 2), rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("model", [MnistNet(1, 10), CifarNet(3, 10)])
def test_whole_models_equal_every_variant_computed_alone(model: nn.Module) -> None:
    channels, side = (1, 28) if isinstance(model, MnistNet) else (3, 32)
    images = numbers(3, channels, side, side)
    corners = [(0, 0, 4, 10), (side - 3, side - 5, 3, 5), (11, 9, 2, 2), (0, 0, side, side)]
    patches = [changed(images, *corner) for corner in corners]
    with torch.inference_mode():
        assert_equal(model.double(), images, patches)


def test_what_works_pixel_by_pixel_and_flattened() -> None:
    images = numbers(2, 4, 5, 6)
    patches = [changed(images, 1, 2, 2, 3), changed(images, 4, 0, 1, 6)]
    head, second = nn.Linear(120, 7).double(), nn.Linear(7, 3).double()

    def through(x: Any) -> Any:
        x = local_response_norm(relu(x) * 2.0, 3, beta=0.5)
        return second(relu(head(x.flatten(1))))

    with torch.inference_mode():
        assert_equal(through, images, patches)


IMAGES = numbers(2, 4, 6, 6)


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x + x,
        lambda x: x * x,
        lambda x: x.mean(dim=(2, 3)),
        lambda x: x.flatten(0),
        lambda x: relu(x.flatten(1)).flatten(1),
        lambda x: conv2d(x, numbers(2, 4, 2, 3)),
        lambda x: conv2d(x, numbers(2, 4, 2, 2), dilation=2),
        lambda x: conv2d(x, numbers(2, 4, 3, 3), padding="same"),
        lambda x: max_pool2d(x, 2, ceil_mode=True),
        lambda x: torch.cat([x, x]),
        lambda x: torch.linalg.vector_norm(x),
        lambda x: ResNet18(4, 2).double()(x),
    ],
)
def test_what_has_no_rule_is_refused_and_never_wrong(step: Callable[[Any], Any]) -> None:
    with pytest.raises(NotLocal):
        step(Variants(IMAGES, [changed(IMAGES, 1, 1, 1, 1)]))


def test_a_variant_that_never_became_whole_is_refused() -> None:
    with pytest.raises(NotLocal, match="never became whole"):
        relu(Variants(IMAGES, [changed(IMAGES, 1, 1, 1, 1)])).all()
