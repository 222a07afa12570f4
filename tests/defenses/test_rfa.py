import pytest
import torch

from fedward.defenses import FedAvg, GeometricMedian
from tests.defenses.oracles import GEOMETRIC_MEDIAN, oracle_round
from tests.defenses.rounds import honest_rows, make_round


def test_against_byzfl() -> None:
    update = GeometricMedian(tolerance=0)(oracle_round()).update
    torch.testing.assert_close(update, GEOMETRIC_MEDIAN, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("iterations", [1, 3])
def test_few_iterations_start_from_the_mean(iterations: int) -> None:
    """As in algorithm 2; the numbers are those of the iteration on the rows themselves."""
    round = oracle_round()
    point = round.updates.mean(0)
    for _ in range(iterations):
        pull = 1 / (round.updates - point).norm(dim=1)
        point = (pull[:, None] * round.updates).sum(0) / pull.sum()
    update = GeometricMedian(iterations=iterations, tolerance=0)(round).update
    torch.testing.assert_close(update, point)


def test_the_default_has_converged() -> None:
    round = oracle_round()
    result = GeometricMedian()(round)
    torch.testing.assert_close(result.update, GEOMETRIC_MEDIAN, rtol=1e-3, atol=1e-4)
    objective = (round.updates - result.update).norm(dim=1).mean()
    assert result.facts["objective"] == pytest.approx(float(objective))
    assert result.facts["iterations"] < 1000


def test_factors_say_what_the_rows_were_multiplied_by() -> None:
    round = make_round(honest_rows())
    result = GeometricMedian()(round)
    factors = torch.tensor([verdict.factor for verdict in result.verdicts])
    torch.testing.assert_close((factors[:, None] * round.updates).mean(0), result.update)


def test_a_far_row_counts_for_almost_nothing() -> None:
    rows = honest_rows()
    rows[0] *= 1e6
    factors = [
        verdict.factor or 0 for verdict in GeometricMedian()(make_round(rows)).verdicts
    ]
    assert factors[0] < 1e-5 < min(factors[1:])


def test_rows_closer_than_the_smoothing_are_averaged() -> None:
    round = make_round(honest_rows())
    smooth = GeometricMedian(smoothing=1e9)(round).update
    torch.testing.assert_close(smooth, FedAvg()(round).update)


def test_sample_counts_as_masses_only_if_asked() -> None:
    round = make_round(honest_rows())
    plain = GeometricMedian()(round).update
    round.weights[0] = 100.0
    assert GeometricMedian()(round).update.equal(plain)
    heavy = GeometricMedian(weighted=True)(round).update
    torch.testing.assert_close(heavy, round.updates[0], rtol=1e-3, atol=1e-4)
