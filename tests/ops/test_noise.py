import pytest
import torch
from scipy.stats import kstest

from fedward.ops.noise import gaussian
from fedward.seeds import stream


def test_it_is_normal_with_the_given_deviation() -> None:
    noise = gaussian(torch.zeros(20_000), 0.3, stream(0, "noise"))
    assert kstest(noise.numpy(), "norm", args=(0, 0.3)).pvalue > 1e-4


def test_worked_case() -> None:
    expected = 2 * torch.randn(5, generator=stream(3, "noise"))
    assert gaussian(torch.ones(5), 2.0, stream(3, "noise")).equal(expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_every_precision_gets_the_same_numbers(dtype: torch.dtype) -> None:
    single = gaussian(torch.zeros(50), 1.0, stream(0, "noise"))
    other = gaussian(torch.zeros(50, dtype=dtype), 1.0, stream(0, "noise"))
    assert other.dtype == dtype
    assert other.equal(single.to(dtype))


def test_no_noise_leaves_the_generator_alone() -> None:
    generator = stream(0, "noise")
    assert not gaussian(torch.ones(4), 0.0, generator).any()
    assert generator.get_state().equal(stream(0, "noise").get_state())
