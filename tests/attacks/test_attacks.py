"""Laws of every attack in the table."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fedward.attacks import (
    ATTACK_PRESETS,
    ATTACKS,
    DBA,
    Attack,
    DBASingleShot,
    ModelReplacement,
    NormMatching,
)
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from fedward.settings import UnknownName, as_table, build
from tests.attacks.making import knowledge, place, plan

every_attack = pytest.mark.parametrize("name", ATTACKS)


@every_attack
def test_tables_are_read_as_they_are_written(name: str) -> None:
    attack = build("attack", name, ATTACKS)
    assert type(attack) is ATTACKS[name]
    assert build("attack", as_table("attack", attack, ATTACKS), ATTACKS) == attack


@pytest.mark.parametrize("name", ATTACK_PRESETS)
def test_presets_survive_as_tables(name: str) -> None:
    table = as_table("attack", ATTACK_PRESETS[name], ATTACKS)
    assert build("attack", table, ATTACKS) == ATTACK_PRESETS[name]


def test_wrappers_stack_in_tables() -> None:
    inner: dict[str, Any] = {
        "name": "model-replacement",
        "base": {"name": "dba", "pdr": 0.5},
    }
    made = build(
        "attack", {"name": "model-replacement", "base": inner, "factor": 2}, ATTACKS
    )
    wanted = ModelReplacement(base=ModelReplacement(base=DBA(pdr=0.5)), factor=2)
    assert made == wanted
    assert build("attack", as_table("attack", made, ATTACKS), ATTACKS) == wanted


def test_a_wrong_name_inside_is_named() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dba'"):
        build("attack", {"name": "model-replacement", "base": {"name": "dbaa"}}, ATTACKS)
    inner = {"name": "dba", "pdrr": 0.5}
    with pytest.raises(UnknownName, match="option of attack 'dba'"):
        build("attack", {"name": "model-replacement", "base": inner}, ATTACKS)


@every_attack
def test_poisoning_is_a_pure_function_and_keeps_a_plan_well_formed(name: str) -> None:
    attack: Attack = ATTACKS[name]()
    where = place(part=1)
    honest = plan(where, attack.training(LocalTraining()))
    before = (honest.indices.clone(), honest.labels.clone(), honest.stamped.clone())
    poisoned = attack.poison(honest, where, stream(1))
    assert all(
        (a == b).all()
        for a, b in zip(
            before, (honest.indices, honest.labels, honest.stamped), strict=True
        )
    )
    assert len(poisoned.indices) == len(poisoned.labels) == len(poisoned.stamped)
    assert sum(poisoned.sizes) == len(poisoned.indices)
    assert len(poisoned.sizes) == len(poisoned.lr)
    assert poisoned.client == honest.client
    assert poisoned.trigger is not None or not poisoned.stamped.any()


@every_attack
@pytest.mark.parametrize(("attackers", "clients"), [(4, 10), (1, 10), (2, 2)])
def test_crafting_is_a_pure_function(name: str, attackers: int, clients: int) -> None:
    attack: Attack = ATTACKS[name]()
    own, clean = torch.randn(2, attackers, 6, generator=stream(1))
    params, previous = torch.randn(2, 6, generator=stream(2))
    handed = (own, clean, params, previous)
    before = [tensor.clone() for tensor in handed]

    def craft() -> Tensor:
        known = knowledge(attackers, clients, clean=clean, params=params, previous=previous)
        return attack.craft(own, known)

    sent = craft()
    assert sent.shape == own.shape
    assert sent.dtype == own.dtype
    assert sent.isfinite().all()
    assert all(torch.equal(a, b) for a, b in zip(before, handed, strict=True))
    assert torch.equal(sent, craft())


@every_attack
def test_attacks_ask_for_the_clean_updates_that_they_use(name: str) -> None:
    attack: Attack = ATTACKS[name]()
    own = torch.randn(2, 6, generator=stream(1))
    if attack.needs_clean:
        with pytest.raises(ValueError, match="clean updates"):
            attack.craft(own, knowledge())
    else:
        assert attack.craft(own, knowledge()).shape == own.shape


def test_a_wrapper_needs_what_its_base_needs() -> None:
    assert not ModelReplacement().needs_clean
    assert ModelReplacement(base=NormMatching()).needs_clean
    assert NormMatching(base=ModelReplacement()).needs_clean


def test_a_wrapper_strikes_trains_and_measures_like_its_base() -> None:
    base = DBASingleShot(target=3)
    wrapper = ModelReplacement(base=base)
    times = [place(part=1, attack_round=k) for k in range(5)]
    assert [wrapper.strikes(t) for t in times] == [False, False, True, False, False]
    assert wrapper.training(LocalTraining()) == base.training(LocalTraining())
    pixels, labels = torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4)
    names = [probe.name for probe in wrapper.probes(pixels, labels)]
    assert names == ["whole", "part 0", "part 1", "part 2", "part 3"]


def test_by_itself_an_attack_does_nothing() -> None:
    where = place()
    honest = plan(where, LocalTraining())
    attack, own = Attack(), torch.ones(2, 6)
    assert attack.strikes(where)
    assert attack.training(LocalTraining()) == LocalTraining()
    assert attack.poison(honest, where, stream(1)) is honest
    assert torch.equal(attack.craft(own, knowledge()), own)
    assert attack.probes(where.pixels, where.labels) == ()
