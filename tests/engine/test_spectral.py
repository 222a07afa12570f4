import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.nn.functional import conv2d, pad

from fedward.engine.spectral import (
    Convolve,
    product,
    signals,
    spectrum,
    transform,
)
from fedward.seeds import stream


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=stream(1, *shape))


def convolve(
    images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, padding: int
) -> torch.Tensor:
    out: torch.Tensor = Convolve.apply(images, weight, bias, padding)  # type: ignore[no-untyped-call]
    return out


def test_the_spectrum_of_an_impulse_goes_round_the_circle() -> None:
    """An impulse at (1, 2) on a circle of 4 has the spectrum exp(-i pi/2 (a + 2 b))."""
    image = torch.zeros(3, 3, 1, 1, dtype=torch.float64)
    image[1, 2] = 1.0
    real, imaginary = spectrum(image, transform(4, 0, 3, torch.float64))
    expected = [[-math.pi / 2 * (a + 2 * b) for b in range(4)] for a in range(3)]
    angle = torch.tensor(expected, dtype=torch.float64).flatten()
    torch.testing.assert_close(real.flatten(), angle.cos())
    torch.testing.assert_close(imaginary.flatten(), angle.sin())


@given(size=st.integers(2, 9), start=st.integers(0, 3), count=st.integers(1, 9))
def test_spectrum_is_that_of_torch_fft_and_signals_invert_it(
    size: int, start: int, count: int
) -> None:
    count = min(count, size - min(start, size - 1))
    start = min(start, size - count)
    by = transform(size, start, count, torch.float64)
    signal = numbers(count, count, 2, 3)
    got = spectrum(signal, by)
    behind = size - start - count
    whole = pad(signal, (0, 0, 0, 0, start, behind, start, behind))
    half = size // 2 + 1
    oracle = torch.fft.fft2(whole, dim=(0, 1))[:half].reshape(half * size, 2, 3)
    torch.testing.assert_close(torch.complex(*got), oracle, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(signals(got, by), signal, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("conjugate", [False, True])
def test_products_are_those_of_complex_matrices(conjugate: bool) -> None:
    a, b = numbers(2, 3, 2, 4), numbers(2, 3, 4, 5)
    one, other = torch.complex(*a), torch.complex(*b)
    expected = one @ (other.conj() if conjugate else other)
    torch.testing.assert_close(torch.complex(*product(a, b, conjugate)), expected)


def test_a_kernel_with_a_single_one_moves_the_image() -> None:
    images = numbers(2, 1, 6, 6)
    weight = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    weight[0, 0, 1, 4] = 1.0
    moved = convolve(images, weight, torch.tensor([0.25], dtype=torch.float64), 0)
    torch.testing.assert_close(moved, images[:, :, 1:3, 4:6] + 0.25)


@given(
    side=st.integers(3, 8),
    kernel=st.integers(1, 6),
    padding=st.integers(0, 4),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
@settings(max_examples=60)
def test_layer_and_gradients_are_those_of_the_direct_sum(
    side: int, kernel: int, padding: int, channels: tuple[int, int]
) -> None:
    kernel = min(kernel, side + 2 * padding)
    padding = min(padding, kernel - 1)
    if side + 2 * padding < kernel:
        return
    inputs, outputs = channels
    images = numbers(2, inputs, side, side).requires_grad_()
    weight = numbers(outputs, inputs, kernel, kernel).requires_grad_()
    bias = numbers(outputs).requires_grad_()
    leaves = [images, weight, bias]
    expected = conv2d(images, weight, bias, padding=padding)
    got = convolve(images, weight, bias, padding)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    direction = numbers(*expected.shape)
    ours = torch.autograd.grad(got, leaves, direction)
    theirs = torch.autograd.grad(expected, leaves, direction)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_gradients_agree_with_finite_differences() -> None:
    leaves = numbers(2, 2, 5, 5), numbers(3, 2, 3, 3), numbers(3)
    for leaf in leaves:
        leaf.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w, b: convolve(x, w, b, 1), leaves)


@pytest.mark.parametrize(
    ("inputs", "outputs", "side", "padding"), [(20, 50, 12, 0), (64, 64, 16, 2)]
)
def test_rounding_is_no_worse_than_that_of_the_direct_sum(
    inputs: int, outputs: int, side: int, padding: int
) -> None:
    """The layers of MnistNet and CifarNet, against the same sum in double precision."""
    images = numbers(4, inputs, side, side)
    weight, bias = numbers(outputs, inputs, 5, 5), numbers(outputs)
    truth = conv2d(images, weight, bias, padding=padding)
    images, weight, bias = images.float(), weight.float(), bias.float()
    ours = convolve(images, weight, bias, padding).double()
    direct = conv2d(images, weight, bias, padding=padding).double()
    assert (ours - truth).norm() <= 2 * (direct - truth).norm() + 1e-7 * truth.norm()
