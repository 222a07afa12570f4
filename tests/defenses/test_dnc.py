import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fedward.defenses import DnC, FedAvg
from fedward.defenses.dnc import outlier_scores
from fedward.seeds import stream
from tests.defenses.rounds import honest_rows, make_round, mixed_rows


def test_scores_by_hand() -> None:
    """All spread is along the first axis, round the mean 2."""
    rows = torch.tensor([[0.0, 1.0], [1.0, 1.0], [5.0, 1.0]])
    torch.testing.assert_close(
        outlier_scores(rows), torch.tensor([4.0, 1.0, 9.0]).double(), atol=1e-12, rtol=1e-12
    )


@given(st.integers(2, 15), st.integers(1, 40), st.integers(0, 500))
def test_scores_against_the_singular_value_decomposition(
    clients: int, columns: int, seed: int
) -> None:
    rows = np.random.default_rng(seed).normal(size=(clients, columns))
    centred = rows - rows.mean(axis=0)
    direction = np.linalg.svd(centred)[2][0]
    expected = (centred @ direction) ** 2
    actual = outlier_scores(torch.from_numpy(rows))
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)


def test_what_sticks_out_is_thrown_out() -> None:
    rows = mixed_rows()
    rows[:3] += 5 * torch.randn(117, generator=stream(0, "push"))
    result = DnC(malicious=3)(make_round(rows))
    assert result.accepted.tolist() == [False] * 3 + [True] * 7
    torch.testing.assert_close(result.update, rows[3:].mean(0))
    assert result.facts == {"malicious": 3, "kept": 7}


@pytest.mark.parametrize(("filtering", "kept"), [(1.0, 7), (1.5, 5), (0.5, 8)])
def test_how_many_are_kept(filtering: float, kept: int) -> None:
    result = DnC(malicious=3, filtering=filtering)(make_round(mixed_rows()))
    assert result.accepted.sum() == kept


def test_the_good_set_is_common_to_all_iterations() -> None:
    """Replayed: the columns are the generator's permutations, cut short."""
    rows = mixed_rows()
    defense = DnC(malicious=2, columns=12, iterations=3)
    generator = stream(4, "defense")
    good = set(range(10))
    for _ in range(3):
        drawn = torch.randperm(117, generator=generator)[:12]
        good &= set(outlier_scores(rows[:, drawn]).argsort()[:8].tolist())
    result = defense(make_round(rows, seed=4))
    assert set(result.accepted.nonzero().flatten().tolist()) == good
    assert len(good) < 8


def test_without_malicious_clients_it_is_the_mean() -> None:
    round = make_round(honest_rows())
    torch.testing.assert_close(DnC(malicious=0)(round).update, FedAvg()(round).update)


def test_throwing_everybody_out_holds_the_round() -> None:
    held = DnC(malicious=10)(make_round(honest_rows())).held
    assert held == "DnC throws 10 clients out and got only 10"
    few = DnC(malicious=8, columns=2, iterations=9)(make_round(honest_rows()))
    assert few.held == "no client was in every good set"
