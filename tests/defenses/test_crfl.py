from dataclasses import replace

import pytest
import torch

from fedward.defenses import CRFL, CRFLAuthors, FedAvg
from fedward.seeds import stream
from tests.defenses.rounds import honest_rows, make_round

MNIST = CRFL(floor=0, cap=15)
"""The schedule of the paper for logistic regression on MNIST."""


def test_radius_follows_the_schedule_from_round_one() -> None:
    assert [MNIST.radius(index) for index in (0, 9, 129, 500)] == [
        pytest.approx(2.1),
        pytest.approx(3.0),
        pytest.approx(15.0),
        15.0,
    ]
    assert [CRFL().radius(index) for index in (0, 9, 129, 138)] == [
        15,
        15,
        15,
        pytest.approx(15.9),
    ]


@pytest.mark.parametrize("index", [0, 30])
def test_the_new_global_model_is_clipped_then_perturbed(index: int) -> None:
    round = make_round(honest_rows(), index=index, seed=5)
    model = (round.params + round.updates.mean(0)).double()
    radius = 0.1 * (index + 1) + 2
    expected = model * min(1.0, radius / float(model.norm()))
    expected += 0.01 * torch.randn(117, generator=stream(5, "defense"))
    result = MNIST(round)
    torch.testing.assert_close(
        (round.params + result.update).double(), expected, atol=1e-6, rtol=1e-5
    )
    assert result.facts["bound"] == pytest.approx(radius)
    assert result.facts["model_norm"] == pytest.approx(float(model.norm()))


def test_the_update_has_the_clients_precision() -> None:
    round = make_round(honest_rows())
    for dtype in (torch.float64, torch.bfloat16):
        assert CRFL()(replace(round, params=round.params.to(dtype))).update.dtype == (
            torch.float32
        )


def test_the_last_round_is_clipped_and_gets_no_noise() -> None:
    round = make_round(honest_rows(), index=9)
    final = CRFL(floor=0, rounds=10)(round)
    assert final.facts["sigma"] == 0
    assert float((round.params + final.update).norm()) == pytest.approx(3.0, rel=1e-5)
    assert CRFL(floor=0, rounds=11)(round).facts["sigma"] == 0.01


def test_within_the_radius_and_without_noise_it_is_the_mean() -> None:
    round = make_round(honest_rows())
    assert torch.equal(CRFL(sigma=0, floor=1e6)(round).update, FedAvg()(round).update)


def test_a_zero_model_stays() -> None:
    rows = torch.zeros(3, 117)
    assert not CRFL(sigma=0, floor=0)(make_round(rows, params=rows[0])).update.any()


def test_the_authors_clip_the_updates_to_their_median_norm() -> None:
    rows = honest_rows() * torch.arange(1.0, 11)[:, None]
    result = CRFLAuthors()(make_round(rows, seed=2))
    bound = float(rows.norm(dim=1).quantile(0.5))
    clipped = torch.stack([row * min(1.0, bound / float(row.norm())) for row in rows])
    noise = 1e-4 * bound * torch.randn(117, generator=stream(2, "defense"))
    torch.testing.assert_close(result.update, clipped.mean(0) + noise)
    assert result.facts["bound"] == pytest.approx(bound)
    assert result.facts["sigma"] == pytest.approx(1e-4 * bound)
    assert sum(verdict.factor == 1 for verdict in result.verdicts) == 5
