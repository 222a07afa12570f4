import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.stats import binom, binomtest, norm
from torch import Tensor

from fedward.ops.smoothing import (
    Threat,
    certify,
    contraction,
    divergence_per_unit,
    logistic_smoothness,
    smoothed_votes,
    vote_bounds,
)
from fedward.seeds import stream

PLAIN = Threat(
    attackers=1,
    weight=1.0,
    scale=1.0,
    steps=1,
    lr=1.0,
    poisoned=1.0,
    smoothness=1.0,
    sigma=1.0,
)


def votes_of(*rows: tuple[int, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64)


def test_votes_of_a_model_that_follows_the_sign_of_its_parameter() -> None:
    def logits(params: Tensor) -> Tensor:
        return torch.stack([params[0] * torch.ones(3), torch.zeros(3)], dim=1)

    votes = smoothed_votes(logits, torch.tensor([0.5]), 1.0, 4000, stream(0, "votes"))
    assert votes.sum(dim=1).tolist() == [4000] * 3
    assert votes[:, 0].tolist() == [int(votes[0, 0])] * 3
    assert int(votes[0, 0]) / 4000 == pytest.approx(norm.cdf(0.5), abs=0.03)


def test_smoothing_leaves_the_model_alone_and_is_repeatable() -> None:
    params = torch.ones(4)
    weights = torch.randn(4, 6, generator=stream(0, "w")).view(2, 2, 6)

    def logits(row: Tensor) -> Tensor:
        return torch.einsum("ab,abi->ib", row.view(2, 2), weights)

    first = smoothed_votes(logits, params, 0.5, 50, stream(1, "votes"))
    assert first.equal(smoothed_votes(logits, params, 0.5, 50, stream(1, "votes")))
    assert params.eq(1).all()
    certain = smoothed_votes(logits, params, 0.0, 7, stream(1, "votes"))
    assert certain.max(dim=1).values.tolist() == [7] * 6


def test_no_copies_no_votes() -> None:
    with pytest.raises(ValueError, match="at least one copy, got 0"):
        smoothed_votes(lambda row: row[None], torch.ones(2), 1.0, 0, stream(0, "v"))


def test_bounds_by_hand() -> None:
    lower, upper = vote_bounds(votes_of((10, 900, 90)), error=0.001)
    margin = math.sqrt(math.log(1000) / 2000)
    assert lower.item() == pytest.approx(0.9 - margin)
    assert upper.item() == pytest.approx(0.09 + margin)


@given(st.integers(1, 2000), st.floats(0, 1), st.sampled_from([0.05, 0.001]))
def test_bounds_are_wider_than_clopper_and_pearsons(
    copies: int, share: float, error: float
) -> None:
    """The exact one-sided intervals of SciPy lie within Hoeffding's."""
    first = max(round(share * copies), copies - round(share * copies))
    lower, upper = vote_bounds(votes_of((first, copies - first)), error)

    def exact(count: int, side: str) -> tuple[float, float]:
        interval = binomtest(count, copies, alternative=side).proportion_ci(
            1 - error, "exact"
        )
        return float(interval.low), float(interval.high)

    assert lower.item() <= exact(first, "greater")[0] + 1e-12
    assert upper.item() >= exact(copies - first, "less")[1] - 1e-12


@pytest.mark.parametrize("truth", [0.5, 0.8, 0.97])
def test_lower_bound_fails_no_more_often_than_allowed(truth: float) -> None:
    copies, error = 200, 0.05
    counts = np.arange(copies // 2 + 1, copies + 1)
    votes = torch.from_numpy(np.stack([counts, copies - counts], axis=1))
    wrong = vote_bounds(votes, error)[0].numpy() > truth
    assert binom.pmf(counts, copies, truth)[wrong].sum() <= error


def test_radius_by_hand() -> None:
    """p_A = 0.81 and p_B = 0.01 leave -ln(1 - 0.64), over 2 of divergence a unit."""
    huge = 10**12
    votes = votes_of((81 * huge, huge, 18 * huge // 18, 17 * huge))
    certificate = certify(votes, PLAIN)
    assert certificate.classes.tolist() == [0]
    votes = votes_of((81 * huge, *(huge,) * 19))
    radius = certify(votes, PLAIN).radii.item()
    assert radius == pytest.approx(math.sqrt(-math.log(0.36) / 2), rel=1e-3)


def test_divergence_by_hand() -> None:
    """2 R sigma^-2 L^2 R (p gamma tau eta q/n)^2 and two rounds of contraction."""
    threat = Threat(
        attackers=2,
        weight=0.05,
        scale=100.0,
        steps=5,
        lr=0.001,
        poisoned=0.05,
        smoothness=logistic_smoothness(3.0),
        sigma=0.01,
        radii=(0.02, 0.01),
        sigmas=(0.01, 0.02),
    )
    reach = 0.05 * 100 * 5 * 0.001 * 0.05
    later = (2 * norm.cdf(2) - 1) * (2 * norm.cdf(0.5) - 1)
    expected = 2 * 2 * 17 * 2 * reach**2 / 0.01**2 * later
    assert divergence_per_unit(threat) == pytest.approx(expected)


@given(st.floats(0.05, 4))
def test_the_certificate_is_sound_for_a_threshold(z: float) -> None:
    """A Gaussian threshold flips at KL = z^2 / 2: never below the certified divergence."""
    p_a, p_b = norm.cdf(z), norm.cdf(-z)
    room = -math.log(1 - (math.sqrt(p_a) - math.sqrt(p_b)) ** 2)
    assert room <= z**2 / 2 * (1 + 1e-9)


@given(st.floats(0.01, 3), st.floats(0.1, 2))
def test_contraction_is_the_total_variation_at_the_widest(
    radius: float, sigma: float
) -> None:
    """Of two Gaussians whose means are a diameter apart, by numerical integration."""
    x = np.linspace(-radius - 9 * sigma, radius + 9 * sigma, 200_001)
    apart = np.abs(norm.pdf(x, -radius, sigma) - norm.pdf(x, radius, sigma))
    assert contraction(radius, sigma) == pytest.approx(np.trapezoid(apart, x) / 2, abs=1e-6)


def test_what_helps_and_what_hurts_the_certificate() -> None:
    votes = votes_of((900, 50, 50))
    plain = certify(votes, PLAIN).radii.item()
    longer = replace(PLAIN, radii=(1.0,) * 3, sigmas=(1.0,) * 3)
    assert certify(votes, longer).radii.item() > plain
    assert certify(votes, replace(PLAIN, sigma=2.0)).radii.item() == pytest.approx(
        2 * plain
    )
    assert certify(votes, replace(PLAIN, scale=10.0)).radii.item() == pytest.approx(
        plain / 10
    )
    assert certify(votes, replace(PLAIN, attackers=2)).radii.item() == pytest.approx(
        plain / 2
    )
    assert certify(votes_of((990, 5, 5)), PLAIN).radii.item() > plain
    assert certify(votes, PLAIN, error=0.1).radii.item() > plain


def test_without_a_clear_winner_it_abstains() -> None:
    certificate = certify(votes_of((510, 490), (1000, 0)), PLAIN)
    assert certificate.classes.tolist() == [-1, 0]
    assert certificate.radii[0] == 0
    assert certificate.radii[1] > 0


def test_what_cannot_be_certified_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two classes, got 1"):
        vote_bounds(votes_of((5,)), 0.01)
    with pytest.raises(ValueError, match="got 1 and 0"):
        replace(PLAIN, radii=(1.0,))
    with pytest.raises(ValueError, match="without noise"):
        replace(PLAIN, sigma=0.0)
