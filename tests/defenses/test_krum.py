import random

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fedward.defenses import Krum, MultiKrum
from fedward.defenses.krum import krum_scores
from fedward.layout import Layout
from tests.defenses.oracles import KRUM, MULTI_KRUM, oracle_round
from tests.defenses.rounds import honest_rows, make_round, mixed_rows


def test_worked_case() -> None:
    """On a line at 0, 1, 3, 7 and 50, two neighbours each."""
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0], [50.0]])
    squares = (points - points.T).square().double()
    scores = krum_scores(squares, 2)
    assert scores.tolist() == [1 + 9, 1 + 4, 4 + 9, 16 + 36, 43**2 + 47**2]
    round = make_round(points, params=torch.zeros(1), layout=Layout.flat(1))
    assert Krum(malicious=1)(round).update.tolist() == [1]
    result = MultiKrum(malicious=1)(round)
    assert result.update.tolist() == [2.75]
    assert result.accepted.tolist() == [True, True, True, True, False]
    assert result.facts == {"malicious": 1, "neighbours": 2, "cutoff": 52}
    assert result.verdicts[4].distance == pytest.approx((50 + 49 + 47 + 43) / 4)
    assert result.verdicts[1].distance == pytest.approx((1 + 2 + 6) / 3)


@pytest.mark.parametrize("malicious", KRUM)
def test_krum_is_flowers(malicious: int) -> None:
    result = Krum(malicious=malicious)(oracle_round())
    assert result.accepted.nonzero().flatten().tolist() == [KRUM[malicious]]


@pytest.mark.parametrize(("malicious", "select"), MULTI_KRUM)
def test_multi_krum_is_flowers(malicious: int, select: int) -> None:
    for defense in (
        MultiKrum(malicious=malicious, select=select),
        MultiKrum(malicious=malicious),
    ):
        update = defense(oracle_round()).update
        torch.testing.assert_close(update, MULTI_KRUM[malicious, select])


@given(st.integers(4, 12), st.integers(0, 1000), st.data())
def test_scores_against_the_definition(
    clients: int, seed: int, data: st.DataObject
) -> None:
    malicious = data.draw(st.integers(0, clients - 3))
    rows = np.random.default_rng(seed).normal(size=(clients, 5))
    expected = []
    for i in range(clients):
        gaps = sorted(((rows[i] - rows[j]) ** 2).sum() for j in range(clients) if j != i)
        expected.append(sum(gaps[: clients - malicious - 2]))
    round = make_round(torch.from_numpy(rows), params=torch.zeros(5), layout=Layout.flat(5))
    result = MultiKrum(malicious=malicious, select=1)(round)
    # Mutual nearest rows have one score; which of them is taken is tested below.
    assert expected[int(result.accepted.int().argmax())] == pytest.approx(min(expected))
    assert result.facts["cutoff"] == pytest.approx(min(expected))


@pytest.mark.parametrize(("clients", "assumed"), [(4, 1), (5, 2), (10, 4), (11, 5)])
def test_by_default_the_largest_minority_is_malicious(clients: int, assumed: int) -> None:
    result = MultiKrum()(make_round(honest_rows(clients)))
    assert result.facts["malicious"] == assumed
    assert result.accepted.sum() == clients - assumed


def test_far_attackers_are_not_chosen() -> None:
    rows = mixed_rows()
    rows[:3] += 10 * torch.eye(117)[:3]
    assert not MultiKrum()(make_round(rows)).accepted[:3].any()
    assert not Krum()(make_round(rows)).accepted[:3].any()


@pytest.mark.parametrize("defense", [Krum(malicious=2), MultiKrum(malicious=2)])
def test_without_a_neighbour_the_round_is_held(defense: Krum | MultiKrum) -> None:
    result = defense(make_round(honest_rows(4)))
    name = type(defense).__name__
    assert result.held == f"{name} needs at least malicious + 3 = 5 clients, got 4"


@given(st.integers(4, 7), st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_the_clients_decides_nothing(
    clients: int, seed: int, shuffle: random.Random
) -> None:
    """With four or five clients there is one neighbour, and mutual nearest ones tie."""
    rows = honest_rows(clients, seed=seed)
    order = torch.tensor(shuffle.sample(range(clients), clients))
    for defense in (Krum(), MultiKrum(select=1), MultiKrum(select=2)):
        plain = defense(make_round(rows)).accepted
        assert defense(make_round(rows[order])).accepted.equal(plain[order])
