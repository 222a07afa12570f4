import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import trim_mean

from fedward.defenses import Median, TrimmedMean
from tests.defenses.oracles import MEDIAN, TRIMMED_MEAN, oracle_round
from tests.defenses.rounds import honest_rows, make_round, mixed_rows


@pytest.mark.parametrize("clients", [1, 2, 3, 10, 11])
def test_median_is_numpys(clients: int) -> None:
    rows = honest_rows(clients)
    result = Median()(make_round(rows))
    assert torch.equal(result.update, torch.from_numpy(np.median(rows, axis=0)))


def test_median_and_trimmed_mean_are_flowers() -> None:
    torch.testing.assert_close(Median()(oracle_round()).update, MEDIAN)
    torch.testing.assert_close(TrimmedMean(beta=0.2)(oracle_round()).update, TRIMMED_MEAN)


def test_the_default_drops_one_of_ten_on_either_side() -> None:
    rows = mixed_rows()
    result = TrimmedMean()(make_round(rows))
    assert result.facts == {"cut": 1}
    np.testing.assert_allclose(result.update, trim_mean(rows, 0.1), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("clients", "beta", "cut"),
    [
        (9, 0.1, 0),
        (10, 0.4, 4),
        (30, 0.1, 3),
        (100, 0.29, 29),
        (10, 0.0, 0),
        (3, 0.49, 1),
        (2, 0.4999999999, 0),
        (10, 0.4999999999, 4),
    ],
)
def test_how_many_are_dropped(clients: int, beta: float, cut: int) -> None:
    """0.29 x 100 falls short of 29 in floating point."""
    result = TrimmedMean(beta=beta)(make_round(honest_rows(clients)))
    assert result.facts["cut"] == cut


@pytest.mark.parametrize("beta", [-0.1, 0.5, 1.0])
def test_impossible_shares_are_refused(beta: float) -> None:
    with pytest.raises(ValidationError, match="beta"):
        TrimmedMean(beta=beta)


def test_half_of_the_clients_less_one_cannot_leave_the_honest_range() -> None:
    rows = honest_rows()
    rows[:4] = 1e9
    honest = rows[4:]
    for defense in (Median(), TrimmedMean(beta=0.4)):
        update = defense(make_round(rows)).update
        assert (update <= honest.max(dim=0).values).all()
        assert (update >= honest.min(dim=0).values).all()
