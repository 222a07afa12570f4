import numpy as np
import pytest
import torch

from fedward.defenses import FedAvg
from tests.defenses.rounds import honest_rows, make_round


def test_mean_of_all_by_hand() -> None:
    rows = torch.zeros(3, 117)
    rows[:, 0] = torch.tensor([1.0, 2.0, 6.0])
    assert FedAvg()(make_round(rows)).update[0] == pytest.approx(3)


@pytest.mark.parametrize("weighted", [False, True])
def test_against_numpy(weighted: bool) -> None:
    round = make_round(honest_rows())
    round.weights[:] = torch.arange(1, 11)
    expected = np.average(
        round.updates, axis=0, weights=round.weights if weighted else None
    )
    result = FedAvg(weighted=weighted)(round)
    np.testing.assert_allclose(result.update, expected, rtol=1e-5, atol=1e-7)


def test_sample_counts_buy_no_influence_unless_asked() -> None:
    round = make_round(honest_rows())
    plain = FedAvg()(round).update
    round.weights[0] = 1e9
    assert FedAvg()(round).update.equal(plain)
    torch.testing.assert_close(FedAvg(weighted=True)(round).update, round.updates[0])


def test_verdicts_hold_the_norms() -> None:
    rows = honest_rows()
    for verdict, row in zip(FedAvg()(make_round(rows)).verdicts, rows, strict=True):
        assert verdict.norm == pytest.approx(float(row.norm()), rel=1e-6)
        assert verdict.factor == 1
