"""The kernels against PyTorch's own layers, run by Triton's interpreter without a GPU.

On a GPU products are of numbers in parts; what that leaves of float32 is tested only there.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, local_response_norm, max_pool2d

from fedward.seeds import stream

pytest.importorskip("triton", reason="Triton is not installed")
from fedward.engine import gpu_layers

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SLOTS = 2


def numbers(*shape: int) -> Tensor:
    made = torch.randn(*shape, generator=stream(1, *shape)).to(DEVICE)
    return made.requires_grad_()


def each(layer: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """What PyTorch makes of the slots, one by one, in double precision."""
    return torch.stack(
        [layer(*(t[slot].double() for t in tensors)) for slot in range(SLOTS)]
    )


def agree(ours: Tensor, truth: Tensor, leaves: list[Tensor]) -> None:
    """Outputs and gradients, as far as sums in float32 go."""
    close(ours, truth)
    pull = numbers(*truth.shape).detach()
    got = torch.autograd.grad(ours, leaves, pull)
    expected = torch.autograd.grad(truth, leaves, pull.double())
    for one, other in zip(got, expected, strict=True):
        close(one, other)


def close(ours: Tensor, truth: Tensor) -> None:
    assert ours.dtype == torch.float32
    assert (ours - truth).norm() <= 1e-6 * truth.norm()


@pytest.mark.parametrize(
    ("batch", "inputs", "side", "kernel", "padding", "outputs"),
    [
        (3, 1, 8, 5, 0, 5),  # few inputs
        (2, 3, 7, 5, 2, 20),  # a padding that whole rows of windows lie in
        (9, 4, 6, 3, 1, 50),  # blocks of several heights; outputs not a power of two
        (2, 16, 6, 3, 0, 70),  # the larger blocks, more outputs than one has
        (1, 2, 4, 1, 0, 3),  # windows of one pixel
    ],
)
def test_convolutions_and_gradients_are_those_of_every_slot_alone(
    batch: int, inputs: int, side: int, kernel: int, padding: int, outputs: int
) -> None:
    images = numbers(SLOTS, batch, inputs, side, side)
    weight = numbers(SLOTS, outputs, inputs, kernel, kernel)
    bias = numbers(SLOTS, outputs)
    leaves = [images, weight, bias]
    truth = each(lambda x, w, b: conv2d(x, w, b, padding=padding), *leaves)
    ours = gpu_layers.Convolve.apply(*leaves, padding)  # type: ignore[no-untyped-call]
    agree(ours, truth, leaves)


def test_sums_over_windows_in_one_part_are_those_in_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With few blocks a part is many times as long as what is added up at a time."""
    x, pull = numbers(SLOTS, 6, 9, 9, 2).detach(), numbers(SLOTS, 6, 7, 7, 5).detach()
    many = gpu_layers.weighed(x, pull, 3)
    monkeypatch.setattr(gpu_layers, "BUSY", 1)
    close(gpu_layers.weighed(x, pull, 3), many.double())


def test_a_kernel_with_a_single_one_moves_the_image() -> None:
    images = numbers(1, 2, 1, 6, 6).detach()
    weight = torch.zeros(1, 1, 1, 5, 5, device=DEVICE)
    weight[0, 0, 0, 1, 4] = 1.0
    bias = torch.tensor([[0.25]], device=DEVICE)
    moved = gpu_layers.Convolve.apply(images, weight, bias, 0)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(moved, images[..., 1:3, 4:6] + 0.25)


@pytest.mark.parametrize("wanted", [True, False])
def test_images_gradients_are_worked_out_only_where_they_are_wanted(
    wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    convolved = gpu_layers.convolved

    def counted(*args: Any) -> Tensor:
        calls.append(None)
        return convolved(*args)

    monkeypatch.setattr(gpu_layers, "convolved", counted)
    images, weight = numbers(1, 2, 1, 4, 4), numbers(1, 3, 1, 3, 3)
    images = images if wanted else images.detach()
    out = gpu_layers.Convolve.apply(images, weight, numbers(1, 3), 1)  # type: ignore[no-untyped-call]
    torch.autograd.backward(out.sum())
    assert weight.grad is not None
    assert len(calls) == 1 + wanted


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pooling_takes_the_first_of_equals_as_pytorch_does(
    kernel: int, stride: int, padding: int
) -> None:
    drawn = torch.randint(-2, 3, (SLOTS, 3, 5, 7, 7), generator=stream(2, kernel))
    images = drawn.float().to(DEVICE).requires_grad_()
    truth = each(lambda x: max_pool2d(x, kernel, stride, padding), images)
    ours = gpu_layers.Pool.apply(images, kernel, stride, padding)  # type: ignore[no-untyped-call]
    assert torch.equal(ours.double(), truth)
    agree(ours, truth, [images])


def test_pooling_hands_on_what_is_not_a_number_and_what_is_not_finite() -> None:
    nan, inf = float("nan"), float("inf")
    window = torch.tensor([[1.0, nan], [3.0, 2.0]])
    images = torch.stack([window, torch.full((2, 2), -inf)]).view(1, 1, 2, 2, 2).to(DEVICE)
    images.requires_grad_()
    out = gpu_layers.Pool.apply(images, 2, 2, 0)  # type: ignore[no-untyped-call]
    assert out[0, 0, 0].isnan().all()
    assert out[0, 0, 1] == -inf
    torch.autograd.backward(out.sum())
    assert images.grad is not None
    expected = max_pool2d(leaf := images.detach()[0].requires_grad_(), 2)
    torch.autograd.backward(expected.sum())
    assert leaf.grad is not None
    assert torch.equal(images.grad[0], leaf.grad)


def test_normalisation_knows_the_channel_before_and_none_before_the_first() -> None:
    images = (3 * numbers(SLOTS, 3, 6, 4, 4)).detach().requires_grad_()
    truth = each(lambda x: local_response_norm(x, 2, 0.3, 0.75, 1.5), images)
    ours = gpu_layers.Normalise.apply(images, 0.3, 1.5)  # type: ignore[no-untyped-call]
    agree(ours, truth, [images])


def test_descent_is_that_of_the_optimizer_with_numbers_for_every_slot() -> None:
    width, lr, momentum, decay = 1500, (0.1, 0.02), (0.9, 0.0), (0.0, 0.3)
    weights, velocity = numbers(SLOTS, width).detach(), torch.zeros(SLOTS, width).to(DEVICE)
    gradients = [numbers(SLOTS, width + step)[:, step:].detach() for step in range(3)]
    expected = []
    for slot in range(SLOTS):
        leaf = weights[slot].clone().requires_grad_()
        optimizer = torch.optim.SGD(
            [leaf], lr[slot], momentum=momentum[slot], weight_decay=decay[slot]
        )
        for gradient in gradients:
            leaf.grad = gradient[slot].clone()
            optimizer.step()
        expected.append(leaf.detach())
    told = [torch.tensor(each, device=DEVICE) for each in (lr, momentum, decay)]
    for gradient in gradients:
        gpu_layers.descend(weights, velocity, gradient.contiguous(), *told)
    torch.testing.assert_close(weights, torch.stack(expected), rtol=1e-6, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
@pytest.mark.parametrize(("inputs", "side", "outputs"), [(20, 12, 50), (64, 20, 64)])
def test_products_in_parts_are_as_exact_as_float32(
    inputs: int, side: int, outputs: int
) -> None:
    images, weight = numbers(4, 64, inputs, side, side), numbers(4, outputs, inputs, 5, 5)
    bias = numbers(4, outputs)
    ours = gpu_layers.Convolve.apply(images, weight, bias, 0)  # type: ignore[no-untyped-call]
    truth = conv2d(images[2].double(), weight[2].double(), bias[2].double())
    single = conv2d(images[2].cpu(), weight[2].cpu(), bias[2].cpu()).to(DEVICE)
    error = (ours[2] - truth).norm()
    assert error <= 2e-7 * truth.norm()
    assert error <= 2 * (single - truth).norm()
    pull = numbers(*ours.shape).detach()
    leaves = [images, weight, bias]
    alone = [leaf[2].detach().double().requires_grad_() for leaf in leaves]
    expected = torch.autograd.grad(
        conv2d(alone[0], alone[1], alone[2]), alone, pull[2].double()
    )
    for found, other in zip(torch.autograd.grad(ours, leaves, pull), expected, strict=True):
        assert (found[2] - other).norm() <= 1e-6 * other.norm()
