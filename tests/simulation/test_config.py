import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fedward.attacks import ATTACK_PRESETS, ATTACKS, DBA, ModelReplacement
from fedward.data.partition import Dirichlet
from fedward.defenses import DEFENSE_PRESETS, DEFENSES, FedAvg, Fedward
from fedward.engine.plan import LocalTraining
from fedward.settings import UnknownName, in_words
from fedward.simulation.config import (
    Attackers,
    RunConfig,
    clean_twin,
    from_table,
    is_clean,
    label,
    to_table,
)
from fedward.simulation.presets import PRESETS
from tests.simulation.small import SMALL


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_json(name: str) -> None:
    config = PRESETS[name].config
    assert from_table(json.loads(json.dumps(to_table(config)))) == config


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_survives_json(name: str) -> None:
    config = from_table({"attack": name})
    assert from_table(to_table(config)) == config


@pytest.mark.parametrize("name", DEFENSES)
def test_every_defense_survives_json(name: str) -> None:
    config = from_table({"defense": name})
    assert from_table(to_table(config)) == config


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("fedward-dbscan", {"cluster": "dbscan"}),
        ("fedward-hdbscan", {"cluster": "hdbscan"}),
        ("fedward-no-amgrad", {"amgrad": "off"}),
        ("fedward-no-cluster", {"cluster": "none"}),
        ("fedward-no-clip", {"clip": "none"}),
    ],
)
def test_a_defense_preset_is_the_options_it_stands_for(
    preset: str, options: dict[str, str]
) -> None:
    """So that a run has one key, whichever way it was asked for."""
    asked = from_table({"defense": preset})
    meant = from_table({"defense": {"name": "fedward", **options}})
    assert (asked, asked.key) == (meant, meant.key)
    assert asked.defense == DEFENSE_PRESETS[preset] != Fedward()
    assert from_table({"defense": {"name": preset}}) == asked


def test_every_preset_is_tested_and_shadows_no_name() -> None:
    assert len(DEFENSE_PRESETS) == 5
    assert not set(DEFENSE_PRESETS) & set(DEFENSES)
    assert not set(ATTACK_PRESETS) & set(ATTACKS)


def test_options_change_a_preset() -> None:
    config = from_table(
        {
            "defense": {"name": "fedward-dbscan", "eps": "kth"},
            "attack": {"name": "ala", "epochs": 1},
        }
    )
    assert config.defense == Fedward(cluster="dbscan", eps="kth")
    assert config.attack == DBA(pdr=0.46875, epochs=1)
    with pytest.raises(ValueError, match="Did you mean 'cluster'"):
        from_table({"defense": {"name": "fedward-dbscan", "clusters": "kth"}})


def test_nested_attacks_keep_their_base() -> None:
    config = replace(SMALL, attack=ModelReplacement(base=DBA(pdr=0.1)))
    assert from_table(to_table(config)) == config


@given(st.integers(0, 2**31), st.floats(0.01, 10), st.integers(1, 5))
def test_key_is_of_the_content(seed: int, alpha: float, epochs: int) -> None:
    def make() -> RunConfig:
        return RunConfig(
            seed=seed,
            partition=Dirichlet(alpha=alpha),
            training=LocalTraining(epochs=epochs),
        )

    assert make().key == make().key
    assert replace(make(), seed=seed + 1).key != make().key


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 7},
        {"defense": Fedward(eps="kth")},
        {"attack": DBA(epochs=2)},
        {"attackers": Attackers(count=2, start=3)},
        {"training": LocalTraining(batch_size=32, lr=0.06)},
        {"model": "cifarnet"},
        {"defend_from": 1},
    ],
)
def test_every_change_changes_the_key(change: dict[str, Any]) -> None:
    assert replace(SMALL, **change).key != SMALL.key


def test_the_default_is_the_papers_protocol_for_mnist() -> None:
    """decisions.md, section 4."""
    config = PRESETS["paper-mnist"].config
    assert (config.clients, config.clients_per_round, config.rounds) == (100, 10, 110)
    assert config.attackers == Attackers(count=4, choice="fixed", start=5, stop=None)
    assert config.training == LocalTraining(
        epochs=1, batch_size=64, lr=0.01, momentum=0.9, weight_decay=5e-4
    )
    assert config.attack == DBA(pdr=0.3125, target=2, epochs=6, lr=0.05)
    fashion = PRESETS["paper-fashion"].config
    assert (fashion.training.epochs, fashion.attack) == (
        2,
        DBA(epochs=5, milestones=(1, 4)),
    )
    cifar = PRESETS["paper-cifar10"].config
    assert (cifar.training.epochs, cifar.rounds, cifar.attackers.start) == (3, 220, 10)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'rounds'"):
        from_table({"round": 3})
    with pytest.raises(UnknownName, match=r"option of training.*Did you mean 'epochs'"):
        from_table({"training": {"epoch": 3}})
    with pytest.raises(ValueError, match="Did you mean 'fedward'"):
        from_table({"defense": "fedwart"})
    with pytest.raises(ValueError, match="Did you mean 'mnist'"):
        from_table({"dataset": "mnits"})
    with pytest.raises(ValueError, match="Did you mean 'pdr'"):
        from_table({"attack": {"name": "dba", "prd": 0.1}})


@pytest.mark.parametrize(
    ("table", "near"),
    [
        ({"defense": "fedward-no-clp"}, "fedward-no-clip"),
        ({"defense": "crfl-autors"}, "crfl-authors"),
        ({"attack": {"name": "dba-single-shot-1"}}, "dba-single-shot-10"),
        ({"attack": "amsaa"}, "amsa"),
    ],
)
def test_presets_are_suggested_and_known(table: dict[str, Any], near: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{near}'") as caught:
        from_table(table)
    presets = DEFENSE_PRESETS if "defense" in table else ATTACK_PRESETS
    known = str(caught.value).partition("Known: ")[2]
    assert all(name in known for name in presets)
    assert in_words(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clients": 5}, "at most 5 clients, got 6"),
        ({"attackers": Attackers(count=7)}, "at most 6, got 7"),
        ({"attackers": Attackers(count=9, choice="sampled")}, "at most 8, got 9"),
    ],
)
def test_parts_must_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"rounds": True}, "rounds"),
        ({"attackers": {"stop": False}}, "attackers.stop"),
        ({"training": {"lr": True}}, "training.lr"),
        ({"attack": {"name": "dba", "milestones": [3, True]}}, "attack.milestones"),
        ({"attack": {"name": "mla", "base": {"epochs": True}}}, "attack.base.epochs"),
    ],
)
def test_true_is_no_number(table: dict[str, Any], path: str) -> None:
    with pytest.raises(ValueError, match=f"^{path} needs a number, got (true|false)$"):
        from_table(table)


def test_true_is_a_value_where_one_is_asked_for() -> None:
    table = {"attack": {"name": "edge-case", "bright": False}, "defense": "fedavg"}
    assert to_table(from_table(table))["attack"]["bright"] is False


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"dataset": 3}, "dataset: data set needs a name, got 3"),
        ({"model": {}}, "model: model needs a name, got {}"),
        ({"defense": [3]}, "defense: defense needs a name or a table, got [3]"),
        ({"attack": 3}, "attack: attack needs a name or a table, got 3"),
    ],
)
def test_what_is_no_name_is_said_once(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, said is compared
        from_table(table)
    assert in_words(caught.value) == said


def test_a_clean_twin_differs_in_the_window_and_the_defense_only() -> None:
    twin = clean_twin(SMALL)
    assert is_clean(twin)
    assert not is_clean(SMALL)
    assert not any(twin.attackers.active(round) for round in range(100))
    assert replace(twin, attackers=SMALL.attackers, defense=SMALL.defense) == SMALL
    assert clean_twin(replace(SMALL, defense=FedAvg())) == twin


def test_labels() -> None:
    assert label(SMALL) == "fedward"
    assert label(replace(SMALL, defense=Fedward(eps="kth"))) == "fedward (eps=kth)"
    assert label(clean_twin(SMALL)) == "fedavg, nobody attacks"
