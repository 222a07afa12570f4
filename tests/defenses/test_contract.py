"""Laws that every registered defence obeys; `cases.py` says what each of them promises."""

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fedward.defenses import DEFENSES
from fedward.defenses.screening import NOT_FINITE
from fedward.protocol import Aggregation, Defense, Round
from fedward.settings import UnknownName, as_table, build
from tests.defenses.cases import CASES, SCALE, SHIFT, Case
from tests.defenses.rounds import LAYOUT, honest_rows, make_round, mixed_rows

every_defense = pytest.mark.parametrize("name", DEFENSES)


def defenses_that(promise: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """The defences that promise a property; that all have a row is a test of its own."""
    named = [name for name in DEFENSES if name in CASES and promise(CASES[name])]
    return pytest.mark.parametrize("name", named)


both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def decide(name: str, round: Round) -> Aggregation:
    """The decision with default settings, checked for what holds on every round."""
    defense = DEFENSES[name]()
    result: Aggregation = defense(round)
    assert len(result.verdicts) == len(round.updates)
    assert result.accepted.tolist() == [verdict.accepted for verdict in result.verdicts]
    assert result.update.shape == round.params.shape
    assert result.update.dtype == round.updates.dtype
    assert result.update.isfinite().all()
    for verdict in result.verdicts:
        numbers = (verdict.norm, verdict.factor, verdict.distance)
        assert all(math.isfinite(number) for number in numbers if number is not None)
        assert verdict.reason
        assert verdict.accepted or verdict.factor is None
    assert all(math.isfinite(fact) for fact in result.facts.values()), result.facts
    assert all(isinstance(kept, Tensor) for kept in result.memory.values())
    usable = round.updates.float().isfinite().all(dim=1)
    if result.held is not None:
        assert result.held
        assert not result.accepted.any()
        assert not result.update.any()
    elif defense.selects:
        assert result.accepted.any()
    else:
        assert result.accepted.equal(usable)
    return result


def close(left: Tensor, right: Tensor, tolerance: float = 1e-5) -> bool:
    """Equal up to rounding, relative to the larger of the two."""
    size = max(float(left.abs().max()), float(right.abs().max()), 1e-30)
    return float((left - right).abs().max()) <= tolerance * size


def same_number(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-5, abs_tol=1e-9)


def permuted(round: Round, order: Tensor) -> Round:
    return make_round(
        round.updates[order], params=round.params, clients=round.clients[order]
    )


def test_every_registered_defense_has_declared_its_properties() -> None:
    assert set(DEFENSES) == set(CASES)


@every_defense
def test_settings_are_frozen_named_and_refuse_unknown_options(name: str) -> None:
    defense = build("defense", name, DEFENSES)
    assert isinstance(defense, Defense)
    assert isinstance(defense.selects, bool)
    assert defense.needs >= 1
    assert DEFENSES[name].__doc__
    assert build("defense", as_table("defense", defense, DEFENSES), DEFENSES) == defense
    with pytest.raises(FrozenInstanceError):
        defense.invented = 1  # type: ignore[attr-defined]
    with pytest.raises(UnknownName, match="invented"):
        build("defense", {"name": name, "invented": 1}, DEFENSES)


@every_defense
@both_precisions
def test_inputs_are_untouched(name: str, dtype: torch.dtype) -> None:
    round = make_round(mixed_rows(dtype=dtype))
    kept = (round.updates, round.weights, round.params, round.clients)
    before = [tensor.clone() for tensor in kept]
    decide(name, round)
    assert all(now.equal(then) for now, then in zip(kept, before, strict=True))


@every_defense
@pytest.mark.parametrize("seed", range(4))
def test_permuting_the_clients_permutes_the_verdicts_alone(name: str, seed: int) -> None:
    round = make_round(mixed_rows(seed))
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    plain = decide(name, round)
    shuffled = decide(name, permuted(round, order))
    assert shuffled.accepted.equal(plain.accepted[order])
    assert close(shuffled.update, plain.update)
    for verdict, row in zip(shuffled.verdicts, order.tolist(), strict=True):
        twin = plain.verdicts[row]
        assert verdict.reason == twin.reason
        assert same_number(verdict.norm, twin.norm)
        assert same_number(verdict.factor, twin.factor)
        assert same_number(verdict.distance, twin.distance)


@every_defense
@both_precisions
def test_same_generator_same_bits(name: str, dtype: torch.dtype) -> None:
    first = decide(name, make_round(mixed_rows(dtype=dtype)))
    second = decide(name, make_round(mixed_rows(dtype=dtype)))
    assert first.update.equal(second.update)
    assert first.verdicts == second.verdicts
    assert first.facts == second.facts


@every_defense
def test_both_precisions_agree(name: str) -> None:
    rows = mixed_rows()
    single, double = (
        decide(name, make_round(rows.to(t))) for t in (rows.dtype, torch.float64)
    )
    assert single.accepted.equal(double.accepted)
    assert close(single.update.double(), double.update, 1e-4)


@every_defense
@both_precisions
@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5])
def test_few_clients_are_decided_or_held(
    name: str, dtype: torch.dtype, clients: int
) -> None:
    result = decide(name, make_round(honest_rows(clients, dtype=dtype)))
    needs = DEFENSES[name].needs
    if clients < needs:
        assert result.held is not None
        assert f"at least {needs} usable updates, got {clients}" in result.held


def one_zero(rows: Tensor) -> None:
    rows[4] = 0


def all_zero(rows: Tensor) -> None:
    rows.zero_()


def two_equal(rows: Tensor) -> None:
    rows[5] = rows[6]


def halves_equal(rows: Tensor) -> None:
    rows[:5] = rows[0]
    rows[5:] = rows[5]


def most_zero(rows: Tensor) -> None:
    rows[:8] = 0


def tiny(rows: Tensor) -> None:
    rows *= 1e-30


def huge(rows: Tensor) -> None:
    rows *= 1e30


def one_huge(rows: Tensor) -> None:
    rows[0] *= 1e30


def one_layer_zero(rows: Tensor) -> None:
    for columns in LAYOUT.slices:
        rows[int(columns.start) % 10, columns] = 0


@every_defense
@both_precisions
@pytest.mark.parametrize(
    "spoil",
    [
        one_zero,
        all_zero,
        two_equal,
        halves_equal,
        most_zero,
        tiny,
        huge,
        one_huge,
        one_layer_zero,
    ],
)
def test_degenerate_rows_are_decided_or_held(
    name: str, dtype: torch.dtype, spoil: Callable[[Tensor], None]
) -> None:
    rows = honest_rows(dtype=dtype)
    spoil(rows)
    decide(name, make_round(rows))


@every_defense
def test_a_model_that_clients_took_to_zero(name: str) -> None:
    """A local model of zero norm has no direction to compare."""
    rows = honest_rows()
    params = rows.mean(0)
    rows[3] = -params
    decide(name, make_round(rows, params=params))
    decide(name, make_round(rows, params=torch.zeros_like(params)))


@every_defense
@both_precisions
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e200])
def test_rows_that_are_not_numbers_are_rejected_and_change_nothing(
    name: str, dtype: torch.dtype, poison: float
) -> None:
    rows = mixed_rows(dtype=dtype)
    extra = torch.cat([rows[:2], rows[:2], rows[2:]])
    extra[2, 5] = torch.tensor(poison, dtype=torch.float64)
    extra[3, -1] = torch.tensor(poison, dtype=torch.float64)
    usable = torch.tensor([0, 1, 4, 5, 6, 7, 8, 9, 10, 11])
    clients = torch.arange(12)
    with_them = decide(name, make_round(extra, clients=clients))
    without = decide(name, make_round(extra[usable], clients=clients[usable]))
    assert with_them.verdicts[2] == with_them.verdicts[3] == NOT_FINITE
    assert tuple(with_them.verdicts[i] for i in usable.tolist()) == without.verdicts
    assert with_them.update.equal(without.update)


@every_defense
def test_nothing_usable_is_held(name: str) -> None:
    result = decide(name, make_round(torch.full_like(honest_rows(), math.nan)))
    assert result.held is not None
    assert result.verdicts == (NOT_FINITE,) * 10


@every_defense
@both_precisions
@pytest.mark.parametrize("length", [0.3, 30.0])
def test_agreeing_clients_are_obeyed(name: str, dtype: torch.dtype, length: float) -> None:
    case = CASES[name]
    row = honest_rows(1, dtype=dtype)
    round = make_round((length * row / row.norm()).expand(10, -1).clone())
    result = decide(name, round)
    if case.agreed is None:
        assert result.held is not None
        return
    assert result.held is None
    gap = (result.update - case.agreed(round)).double()
    noise = case.noise(round.updates[0])
    assert float(gap.abs().max()) <= 5 * noise + 1e-5 * length
    if noise:
        assert float(gap.square().mean().sqrt()) == pytest.approx(noise, rel=0.3)


@defenses_that(lambda case: case.scales_with is not None)
def test_scaling(name: str) -> None:
    round = make_round(mixed_rows())
    params = round.params * (SCALE if CASES[name].scales_with == "models" else 1)
    scaled = decide(name, make_round(SCALE * round.updates, params=params))
    plain = decide(name, round)
    assert scaled.accepted.equal(plain.accepted)
    assert close(scaled.update, SCALE * plain.update)


@defenses_that(lambda case: case.translates)
def test_translation(name: str) -> None:
    round = make_round(mixed_rows())
    moved = decide(name, make_round(round.updates + SHIFT))
    plain = decide(name, round)
    assert moved.accepted.equal(plain.accepted)
    assert close(moved.update, plain.update + SHIFT)


@defenses_that(lambda case: case.bounded)
@pytest.mark.parametrize("seed", range(3))
def test_one_far_row_has_bounded_influence(name: str, seed: int) -> None:
    rows = honest_rows(seed=seed)
    direction = mixed_rows(seed)[0]
    moved = []
    for distance in (1e4, 1e6, 1e9, 1e16, 1e30):
        rows[0] = distance * direction / direction.norm()
        moved.append(float(decide(name, make_round(rows)).update.norm()))
    assert max(moved) <= 1.05 * moved[0] + 1e-3
    assert max(moved) < 50


def test_without_a_bound_one_far_row_decides() -> None:
    rows = honest_rows()
    rows[0] *= 1e6
    assert float(decide("fedavg", make_round(rows)).update.norm()) > 1e4


@every_defense
def test_memory_is_handed_on_and_never_modified(name: str) -> None:
    """Rounds with changing clients; what is remembered is the caller's to keep."""
    defense: Any = DEFENSES[name]()
    memory: dict[str, Tensor] = {}
    for index in range(4):
        clients = (torch.arange(10) * 3 + index) % 14
        round = make_round(mixed_rows(index), clients=clients, index=index, memory=memory)
        before = {name: tensor.clone() for name, tensor in memory.items()}
        result = decide(name, round)
        assert memory.keys() == before.keys()
        assert all(memory[name].equal(before[name]) for name in memory)
        again = defense(
            make_round(round.updates, clients=clients, index=index, memory=before)
        )
        assert again.update.equal(result.update)
        memory = dict(result.memory)


@every_defense
def test_held_rounds_keep_the_memory(name: str) -> None:
    result = decide(name, make_round(mixed_rows()))
    bad = make_round(torch.full_like(honest_rows(), math.nan), memory=result.memory)
    kept = decide(name, bad).memory
    assert kept.keys() == result.memory.keys()
    assert all(kept[key].equal(result.memory[key]) for key in kept)


@every_defense
def test_read_only_memory_mapped_updates(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = mixed_rows()
    path = tmp_path_factory.mktemp("updates") / "rows"
    rows.numpy().tofile(path)
    mapped = torch.from_file(str(path), shared=False, size=rows.numel()).view_as(rows)
    expected = decide(name, make_round(rows))
    assert decide(name, replace(make_round(rows), updates=mapped)).update.equal(
        expected.update
    )
