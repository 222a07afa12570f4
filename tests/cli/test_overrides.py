from pathlib import Path

import pytest
import torch

from fedward.attacks import ATTACK_PRESETS, DBA, NormMatching
from fedward.cli.overrides import configurations
from fedward.cli.run import parse_device, parse_seeds
from fedward.data.partition import IID, Dirichlet, DirichletAuthors
from fedward.defenses import FedAvg, Fedward, Flame
from fedward.simulation.presets import PRESETS


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
    assert parse_seeds("0,1,5", "--seed") == [0, 1, 5]
    for wrong in ("a", "-1", "0,,1"):
        with pytest.raises(ValueError, match="whole numbers from 0"):
            parse_seeds(wrong, "--seed")


def test_pdr_reaches_through_wrappers() -> None:
    (config,) = configurations(
        None, None, {"attack": {"name": "norm-matching"}, "attack.pdr": 0.2}, [], [], [0]
    )
    assert config.attack == NormMatching(base=DBA(pdr=0.2))
    for attack in (None, {"name": "inner-product"}):
        settings = {"attack": attack, "attack.pdr": 0.2}
        with pytest.raises(ValueError, match="PDR needs an attack that poisons"):
            configurations(None, None, settings, [], [], [0])


@pytest.mark.parametrize("name", ["mla", "ala", "amsa"])
def test_attack_presets_are_attacks(name: str) -> None:
    (config,) = configurations(None, None, {"attack": {"name": name}}, [], [], [0])
    assert config.attack == ATTACK_PRESETS[name]


def test_defense_presets_are_names_like_any_other() -> None:
    asked = ["fedward-no-clip,fedward-dbscan:eps=kth"]
    found = configurations(None, None, {}, [], asked, [0])
    meant = [Fedward(clip="none"), Fedward(cluster="dbscan", eps="kth")]
    assert [config.defense for config in found] == meant


def test_seed_and_defense_may_be_said_anywhere_but_not_twice(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('seed = 3\n[defense]\nname = "flame"\n')
    pair = ["fedavg", "fedward"]
    (config,) = configurations("demo", file, {}, [], [], None, pair)
    assert (config.seed, config.defense) == (3, Flame())
    (config,) = configurations("demo", None, {}, ["seed=4"], [], None)
    assert config.seed == 4
    (config,) = configurations("demo", None, {}, ["defense.eps=kth"], [], None, pair)
    assert config.defense == Fedward(eps="kth")
    found = configurations("demo", None, {}, [], [], None, pair)
    assert [(c.seed, c.defense) for c in found] == [(0, FedAvg()), (0, Fedward())]
    with pytest.raises(ValueError, match="--defense and --set defense"):
        configurations(None, None, {}, ["defense.eps=kth"], ["fedward"], None)
    with pytest.raises(ValueError, match="--seed and --set seed"):
        configurations(None, None, {}, ["seed=3"], [], [0])
    for wrong in ("seed=banana", "seed=[0, 1]"):
        with pytest.raises(ValueError, match="seed"):
            configurations(None, None, {}, [wrong], [], None)


def test_a_rate_keeps_what_the_file_says_of_the_split(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[partition]\nmin_size = 1\n")
    (config,) = configurations("demo", file, {"nir": "25"}, [], [], None)
    assert config.partition == Dirichlet(alpha=0.25, min_size=1)


def test_a_device_that_is_not_there() -> None:
    assert parse_device("cpu") == "cpu"
    with pytest.raises(ValueError, match="needs cpu or cuda, got 'nope'"):
        parse_device("nope")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="a card that PyTorch sees, got none"):
            parse_device("cuda")
