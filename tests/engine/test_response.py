import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from fedward.engine.response import Normalise, with_neighbours
from fedward.seeds import stream


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=stream(2, *shape))


def normalise(images: torch.Tensor, alpha: float, k: float) -> torch.Tensor:
    out: torch.Tensor = Normalise.apply(images, alpha, k)  # type: ignore[no-untyped-call]
    return out


def test_worked_case() -> None:
    """Channels 3 and 4 with alpha 2, k 7: d is 7 + 9 = 16, then 7 + 9 + 16 = 32."""
    images = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    expected = [3 / 16**0.75, 4 / 32**0.75]
    assert normalise(images, 2.0, 7.0).flatten().tolist() == pytest.approx(expected)


def test_neighbours_stop_at_the_outermost_channels() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0], [10.0, 20.0, 40.0]]).view(1, 1, 2, 3)
    before, behind = (with_neighbours(values, before=side) for side in (True, False))
    assert before.flatten().tolist() == [1, 3, 6, 10, 30, 60]
    assert behind.flatten().tolist() == [3, 6, 4, 30, 60, 40]


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    alpha=st.floats(1e-4, 2.0),
    k=st.floats(0.5, 2.0),
)
def test_values_and_gradients_are_those_of_pytorch(
    shape: tuple[int, int, int, int], alpha: float, k: float
) -> None:
    images = numbers(*shape).requires_grad_()
    direction = numbers(*shape[::-1]).permute(3, 2, 1, 0)
    expected = nn.LocalResponseNorm(2, alpha=alpha, k=k)(images)
    got = normalise(images, alpha, k)
    torch.testing.assert_close(got, expected)
    (ours,) = torch.autograd.grad(got, images, direction)
    (theirs,) = torch.autograd.grad(expected, images, direction)
    torch.testing.assert_close(ours, theirs)


def test_gradients_agree_with_finite_differences() -> None:
    images = numbers(2, 3, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: normalise(x, 0.7, 1.3), [images])
