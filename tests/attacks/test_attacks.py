"""Laws of every attack in the table."""

from typing import Any

import pytest

from fedward.attacks import ATTACK_PRESETS, ATTACKS, DBA, Attack, ModelReplacement
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from fedward.settings import UnknownName, as_table, build
from tests.attacks.making import place, plan

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
