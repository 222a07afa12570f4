import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from hypothesis import given, strategies as st

from fedward.defenses import AFA, FedAvg, GeometricMedian
from fedward.defenses.screening import NO_COUNT, NOT_FINITE, finite_rows, screened
from fedward.ops.blocks import WIDTH
from fedward.protocol import Aggregation, Round, Verdict
from tests.defenses.rounds import honest_rows, make_round


@dataclass(frozen=True)
class Witness:
    """Accepts whom it is told to, and remembers what it was shown."""

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 2

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Sum of the rows."""
        return Aggregation(
            update=round.updates.sum(0),
            verdicts=tuple(
                Verdict(accepted=client % 2 == 0, reason=f"client {client}")
                for client in round.clients.tolist()
            ),
            memory={"clients": round.clients, "weights": round.weights},
        )


def spoiled(rows: dict[int, float]) -> Round:
    updates = honest_rows(6)
    for row, poison in rows.items():
        updates[row, row] = poison
    round = make_round(updates, clients=torch.arange(10, 16))
    round.weights[:] = torch.arange(6.0)
    return round


@given(
    st.dictionaries(
        st.integers(0, 5), st.sampled_from([math.nan, math.inf, -math.inf]), max_size=4
    )
)
def test_only_usable_rows_are_shown(poisoned: dict[int, float]) -> None:
    round = spoiled(poisoned)
    usable = [row for row in range(6) if row not in poisoned]
    result = Witness()(round)
    assert result.update.equal(round.updates[usable].sum(0))
    assert result.memory["clients"].tolist() == [10 + row for row in usable]
    assert result.memory["weights"].tolist() == [float(row) for row in usable]
    for row, verdict in enumerate(result.verdicts):
        expected = Verdict(accepted=row % 2 == 0, reason=f"client {10 + row}")
        assert verdict == (NOT_FINITE if row in poisoned else expected)


def test_a_clean_round_is_handed_over_without_a_copy() -> None:
    round = spoiled({})
    assert Witness()(round).memory["weights"] is round.weights


def test_too_few_usable_rows_hold_the_round() -> None:
    result = Witness()(spoiled(dict.fromkeys(range(5), math.nan)))
    assert result.held == "Witness needs at least 2 usable updates, got 1"
    assert result.verdicts[:5] == (NOT_FINITE,) * 5
    assert result.verdicts[5] == Verdict(accepted=False, reason=result.held)
    assert not result.update.any()


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", [0, WIDTH - 1, WIDTH, WIDTH + 2])
def test_every_block_is_read(poison: float, column: int) -> None:
    rows = torch.zeros(3, WIDTH + 3)
    rows[1, column] = poison
    assert finite_rows(rows).tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_largest_numbers_are_still_numbers(dtype: torch.dtype) -> None:
    largest = min(torch.finfo(dtype).max, torch.finfo(torch.float32).max)
    assert finite_rows(torch.full((2, 3), largest, dtype=dtype)).all()


def test_numbers_whose_squares_overflow_are_not() -> None:
    """Distances to such a row would be Inf, and Inf less Inf is NaN for everybody."""
    rows = torch.tensor([[1e200, 0.0], [0.0, -1e39], [1e38, -1e38]], dtype=torch.float64)
    assert finite_rows(rows).tolist() == [False, False, True]


def test_the_defense_keeps_its_name_and_docstring() -> None:
    assert Witness.__call__.__doc__ == "Sum of the rows."


@pytest.mark.parametrize(
    "defense",
    [FedAvg(weighted=True), GeometricMedian(weighted=True), AFA(weighted=True)],
    ids=lambda defense: type(defense).__name__,
)
@pytest.mark.parametrize("count", [math.nan, math.inf, -math.inf, -8.0])
def test_a_sample_count_that_is_none_is_the_clients_fault(
    defense: FedAvg | GeometricMedian | AFA, count: float
) -> None:
    rows = honest_rows()
    rows[7, 3] = math.nan
    round = make_round(rows)
    weights = torch.arange(1.0, 11.0)
    weights[2] = count
    result = defense(replace(round, weights=weights))
    assert result.held is None
    assert result.verdicts[2] == NO_COUNT
    assert result.verdicts[7] == NOT_FINITE
    usable = torch.tensor([0, 1, 3, 4, 5, 6, 8, 9])
    alone = make_round(rows[usable], clients=usable)
    expected = defense(replace(alone, weights=weights[usable]))
    assert result.update.equal(expected.update)
    # Where counts are not used, a lie about them changes nothing.
    plain = type(defense)()
    assert plain(replace(round, weights=weights)).update.equal(plain(round).update)


def test_nobody_who_trained_holds_a_weighted_round() -> None:
    round = replace(make_round(honest_rows()), weights=torch.zeros(10))
    result = FedAvg(weighted=True)(round)
    assert result.held == "FedAvg needs a client that trained on something"
    assert {verdict.reason for verdict in result.verdicts} == {result.held}
