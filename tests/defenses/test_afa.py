import pytest
import torch
from hypothesis import given, strategies as st
from scipy.stats import beta as beta_distribution
from torch import Tensor

from fedward.defenses import AFA, FedAvg
from fedward.defenses.afa import probability_below_half, similar_models
from fedward.ops.gram import gram
from tests.defenses.rounds import honest_rows, make_round, mixed_rows


def with_one_turned(row: int = 2) -> Tensor:
    rows = honest_rows()
    rows[row] = -40 * rows[row]
    return rows


@given(st.integers(1, 60), st.integers(1, 60))
def test_reputation_against_scipy(alpha: int, beta: int) -> None:
    expected = beta_distribution.cdf(0.5, alpha, beta)
    assert probability_below_half(alpha, beta) == pytest.approx(expected, rel=1e-9)


def test_reputation_by_hand() -> None:
    assert probability_below_half(1, 1) == 0.5
    assert probability_below_half(1, 2) == 0.75
    assert probability_below_half(3, 3) == 0.5


def naive(models: Tensor, weights: Tensor, xi: float, xi_step: float) -> list[int]:
    """Algorithm 1 on the models themselves."""
    good = list(range(len(models)))
    while True:
        aggregate = (weights[good, None] * models[good]).sum(0) / weights[good].sum()
        similarity = torch.cosine_similarity(models, aggregate[None], dim=1)
        own = similarity[good]
        middle = float(own.quantile(0.5))
        margin = xi * float((own - own.mean()).square().mean().sqrt())
        if own.mean() < middle:
            left = [k for k in good if similarity[k] >= middle - margin]
        else:
            left = [k for k in good if similarity[k] <= middle + margin]
        if left == good:
            return good
        good, xi = left, xi + xi_step


@given(st.integers(0, 500), st.floats(0.5, 3), st.floats(0, 1))
def test_against_the_algorithm_on_the_models(seed: int, xi: float, step: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    models = torch.randn(9, 6, generator=generator).double() + 0.7
    weights = torch.rand(9, generator=generator).double() + 0.1
    everybody = torch.ones(9, dtype=torch.bool)
    members, _ = similar_models(gram(models), weights, everybody, xi, step)
    assert members.nonzero().flatten().tolist() == naive(models, weights, xi, step)


@given(st.integers(0, 39))
def test_models_are_compared_and_not_updates(seed: int) -> None:
    round = make_round(mixed_rows(seed))
    models = (round.params + round.updates).double()
    # The defaults are the paper's settings.
    expected = naive(models, torch.ones(10).double(), xi=2, xi_step=0.5)
    assert AFA()(round).accepted.nonzero().flatten().tolist() == expected


def test_a_model_turned_round_is_left_out() -> None:
    rows = with_one_turned()
    result = AFA()(make_round(rows))
    expected = torch.tensor([i != 2 for i in range(10)])
    assert result.accepted.equal(expected)
    torch.testing.assert_close(result.update, rows[expected].mean(0))
    assert result.memory["clients"].tolist() == list(range(10))
    assert result.memory["good"].equal(expected.long())
    assert result.memory["bad"].equal((~expected).long())


def test_reputations_weight_the_mean() -> None:
    round = make_round(
        honest_rows(2),
        clients=torch.tensor([8, 5]),
        memory={
            "clients": torch.tensor([5, 8]),
            "good": torch.tensor([3, 0]),
            "bad": torch.tensor([0, 3]),
        },
    )
    result = AFA()(round)
    # Client 8 expects 3 / 9, client 5 expects 6 / 9.
    torch.testing.assert_close(result.update, (round.updates[0] + 2 * round.updates[1]) / 3)
    assert [verdict.factor for verdict in result.verdicts] == pytest.approx([2 / 3, 4 / 3])


def test_who_is_rejected_again_and_again_is_blocked_for_good() -> None:
    """Beta(3, 3 + n) lies below one half with more than 95 % from n = 6 on."""
    memory: dict[str, Tensor] = {}
    for index in range(8):
        result = AFA()(make_round(with_one_turned(), index=index, memory=memory))
        memory = dict(result.memory)
        assert result.accepted[2].item() is False
        assert result.facts["blocked"] == (index >= 6)
    assert beta_distribution.cdf(0.5, 3, 8) < 0.95 < beta_distribution.cdf(0.5, 3, 9)
    assert memory["bad"][2] == 6
    honest_again = AFA()(make_round(honest_rows(), memory=memory))
    assert honest_again.verdicts[2].reason == "blocked: rejected in too many rounds"
    alone = AFA()(make_round(honest_rows(1), clients=torch.tensor([2]), memory=memory))
    assert alone.held == "every client of the round is blocked"
    assert dict(alone.memory).keys() == memory.keys()


def test_reputation_follows_the_identity_not_the_row() -> None:
    memory = dict(AFA()(make_round(with_one_turned(2))).memory)
    order = torch.arange(9, -1, -1)
    moved = AFA()(make_round(with_one_turned(2)[order], clients=order, memory=memory))
    assert moved.memory["bad"].tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 0, 0]


def test_sample_counts_count_only_if_asked() -> None:
    round = make_round(honest_rows())
    torch.testing.assert_close(AFA(xi=100)(round).update, FedAvg()(round).update)
    round.weights[:] = torch.arange(1.0, 11)
    torch.testing.assert_close(
        AFA(xi=100, weighted=True)(round).update, FedAvg(weighted=True)(round).update
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [(50, "blocked: rejected in too many rounds"), (0, "similarity sticks out")],
)
def test_without_the_one_who_reported_samples_the_round_is_held(
    bad: int, reason: str
) -> None:
    """The only weighted model is its own mean, from which it alone does not differ."""
    memory = {
        "clients": torch.tensor([0]),
        "good": torch.tensor([0]),
        "bad": torch.tensor([bad]),
    }
    round = make_round(honest_rows(), memory=memory)
    round.weights[1:] = 0
    round.weights[0] = 50
    result = AFA(weighted=True)(round)
    assert result.held == "everybody who is left reported 0 samples"
    assert not result.update.any()
    assert [verdict.reason for verdict in result.verdicts] == [reason] + [result.held] * 9
    assert all(verdict.factor is None for verdict in result.verdicts)
    assert not result.accepted.any()
    assert dict(result.memory) == memory
