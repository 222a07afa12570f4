import pytest
import torch
from hypothesis import given, strategies as st

from fedward.defenses import FedAvg, NormClipping, WeakDP
from fedward.seeds import stream
from tests.defenses.rounds import honest_rows, make_round


def test_worked_case() -> None:
    """Norms 0, 2 and 5 under a bound of 2."""
    rows = torch.zeros(3, 117)
    rows[1, 0], rows[2, :2] = 2.0, torch.tensor([3.0, 4.0])
    result = NormClipping()(make_round(rows))
    assert [verdict.factor for verdict in result.verdicts] == [1, 1, pytest.approx(0.4)]
    assert [verdict.norm for verdict in result.verdicts] == [0, 2, 5]
    torch.testing.assert_close(result.update[:2], torch.tensor([3.2, 1.6]) / 3)
    assert not result.update[2:].any()


@given(st.floats(0.01, 50), st.integers(0, 100))
def test_against_a_loop(bound: float, seed: int) -> None:
    rows = honest_rows(seed=seed) * torch.arange(10)[:, None]
    result = NormClipping(bound=bound)(make_round(rows))
    expected = torch.stack([row / max(1.0, float(row.norm()) / bound) for row in rows])
    torch.testing.assert_close(result.update, expected.mean(0))
    assert float(result.update.norm()) <= bound * (1 + 1e-5)


def test_a_wide_bound_is_the_mean() -> None:
    round = make_round(honest_rows())
    assert NormClipping(bound=1e6)(round).update.equal(FedAvg()(round).update)


def test_weak_dp_is_norm_clipping_and_the_generators_noise() -> None:
    rows = 10 * honest_rows()
    noisy = WeakDP(bound=1.5, sigma=0.1)(make_round(rows, seed=3))
    clipped = NormClipping(bound=1.5)(make_round(rows))
    noise = 0.1 * torch.randn(117, generator=stream(3, "defense"))
    torch.testing.assert_close(noisy.update, clipped.update + noise)
    assert noisy.facts == {"bound": 1.5, "sigma": 0.1}


def test_another_generator_means_other_noise() -> None:
    first, second = (WeakDP()(make_round(honest_rows(), seed=s)).update for s in (0, 1))
    assert not torch.isclose(first, second).all()
