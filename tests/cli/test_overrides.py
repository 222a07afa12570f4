from pathlib import Path
from typing import Any

import pytest

from fedward.attacks import ATTACK_PRESETS, DBA, NormMatching
from fedward.cli.overrides import (
    configurations,
    lay_over,
    nir_partition,
    parse_named,
    parse_value,
    put,
)
from fedward.cli.run import parse_seeds
from fedward.data.partition import IID, Dirichlet, DirichletAuthors
from fedward.defenses import FedAvg, Fedward
from fedward.simulation.presets import PRESETS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("kth", "kth"),
        ("[1,2]", [1, 2]),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse_value(text) == value


def test_names_with_options() -> None:
    assert parse_named("fedward") == {"name": "fedward"}
    assert parse_named("fedward:eps=kth:clip=none") == {
        "name": "fedward", "eps": "kth", "clip": "none",
    }  # fmt: skip
    with pytest.raises(ValueError, match="needs the form name:option=value, got 'kth'"):
        parse_named("fedward:kth")


def test_put_makes_tables_on_the_way() -> None:
    table: dict[str, Any] = {"defense": "fedward", "attackers": {"count": 4}}
    put(table, "defense.eps", "kth")
    put(table, "attackers.start", 2)
    assert table == {
        "defense": {"name": "fedward", "eps": "kth"},
        "attackers": {"count": 4, "start": 2},
    }
    with pytest.raises(ValueError, match="count is 4, which has no parts"):
        put(table, "attackers.count.x", 1)


def test_a_table_of_another_kind_replaces_the_first_whole() -> None:
    table = {"partition": {"name": "dirichlet", "alpha": 0.5}, "rounds": 3}
    lay_over(table, {"partition": {"name": "iid"}, "rounds": 4})
    assert table == {"partition": {"name": "iid"}, "rounds": 4}
    lay_over(table, {"partition": {"name": "dirichlet", "alpha": 0.1}})
    lay_over(table, {"partition": {"alpha": 0.2}})
    assert table["partition"] == {"name": "dirichlet", "alpha": 0.2}


def test_nir_is_the_concentration_in_percent() -> None:
    assert nir_partition("iid", None) == {"name": "iid"}
    assert nir_partition("25", "paper-mnist") == {
        "name": "dirichlet-authors",
        "alpha": 0.25,
    }
    assert nir_partition("50", "demo")["name"] == "dirichlet"
    for wrong in ("0", "-5", "half"):
        with pytest.raises(ValueError, match=f"percentage above 0, got '{wrong}'"):
            nir_partition(wrong, None)


def test_the_layers_of_a_configuration(tmp_path: Path) -> None:
    """Preset, then file, then options, then --set."""
    file = tmp_path / "mine.toml"
    file.write_text('rounds = 7\n[training]\nlr = 0.5\n[partition]\nname = "iid"\n')
    found = configurations(
        "paper-mnist",
        file,
        {"attack.pdr": 0.25, "rounds": None, "dataset": "mnist-small"},
        ["training.epochs=3", "attackers.count=2"],
        ["fedavg,fedward:eps=kth"],
        [0, 1],
    )
    assert [config.seed for config in found] == [0, 0, 1, 1]
    assert [config.defense for config in found[:2]] == [FedAvg(), Fedward(eps="kth")]
    config = found[0]
    assert (config.rounds, config.dataset, config.partition) == (7, "mnist-small", IID())
    assert (config.training.lr, config.training.epochs) == (0.5, 3)
    assert (config.attack, config.attackers.count) == (DBA(pdr=0.25), 2)


def test_presets_are_what_they_say() -> None:
    (config,) = configurations("paper-mnist", None, {}, [], [], [0])
    assert config == PRESETS["paper-mnist"].config
    assert config.partition == DirichletAuthors(alpha=0.5)
    assert isinstance(PRESETS["demo"].config.partition, Dirichlet)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*absent\.toml"):
        configurations(None, tmp_path / "absent.toml", {}, [], [], [0])
    broken = tmp_path / "broken.toml"
    broken.write_text("rounds = ")
    with pytest.raises(ValueError, match=r"broken\.toml is not TOML"):
        configurations(None, broken, {}, [], [], [0])
    with pytest.raises(ValueError, match="--set needs the form path=value, got 'rounds'"):
        configurations(None, None, {}, ["rounds"], [], [0])


def test_seeds() -> None:
    assert parse_seeds("0,1,5") == [0, 1, 5]
    for wrong in ("a", "-1", "0,,1"):
        with pytest.raises(ValueError, match="whole numbers from 0"):
            parse_seeds(wrong)


def test_pdr_reaches_through_wrappers() -> None:
    (config,) = configurations(
        None, None, {"attack": {"name": "norm-matching"}, "attack.pdr": 0.2}, [], [], [0]
    )
    assert config.attack == NormMatching(base=DBA(pdr=0.2))
    for attack in (None, {"name": "inner-product"}):
        settings = {"attack": attack, "attack.pdr": 0.2}
        with pytest.raises(ValueError, match="--pdr needs an attack that poisons"):
            configurations(None, None, settings, [], [], [0])


@pytest.mark.parametrize("name", ["mla", "ala", "amsa"])
def test_attack_presets_are_attacks(name: str) -> None:
    (config,) = configurations(None, None, {"attack": {"name": name}}, [], [], [0])
    assert config.attack == ATTACK_PRESETS[name]
