from dataclasses import replace

import pytest

from fedward.attacks import ATTACK_PRESETS, DBA
from fedward.bench.grid import Cell, make_cell, make_grid
from fedward.data.partition import IID, DirichletAuthors
from fedward.defenses import FedAvg, Fedward, Median
from fedward.settings import UnknownName
from fedward.simulation.config import RunConfig, clean_twin, is_clean, to_table
from fedward.simulation.presets import FASHION, MNIST

BASES = {"mnist": MNIST, "fashion-mnist": FASHION}


def test_a_cell_is_the_run_that_the_axes_say() -> None:
    cell = make_cell(
        FASHION,
        {"nir": "25", "pdr": "46.875", "attack": "dba", "defense": "fedward:eps=kth",
         "seed": "0"},
    )  # fmt: skip
    assert cell.config == replace(
        FASHION,
        partition=DirichletAuthors(alpha=0.25),
        attack=DBA(epochs=5, milestones=(1, 4), pdr=0.46875),
        defense=Fedward(eps="kth"),
    )
    assert cell.key == cell.config.key
    assert cell.at == {
        "dataset": "fashion-mnist", "nir": "25", "pdr": "46.875", "attack": "dba",
        "defense": "fedward:eps=kth", "seed": "0",
    }  # fmt: skip


def test_the_place_of_what_no_axis_says_is_read_from_the_configuration() -> None:
    changed = replace(MNIST, partition=IID(), defense=Fedward(clip="none"), seed=3)
    assert make_cell(changed, {}).at == {
        "dataset": "mnist", "nir": "iid", "pdr": "31.25", "attack": "dba",
        "defense": "fedward:clip=none", "seed": "3",
    }  # fmt: skip
    assert make_cell(RunConfig(), {}).at["attack"] == "none"
    assert "pdr" not in make_cell(RunConfig(), {}).at


def test_the_twin_is_the_simulators() -> None:
    cell = make_cell(MNIST, {"nir": "iid", "defense": "median"})
    assert cell.clean.config == clean_twin(cell.config)
    assert cell.clean.at == {**cell.at, "attack": "none", "defense": "fedavg"}
    assert cell.clean.clean.key == cell.clean.key


def test_a_grid_is_the_product_with_a_twin_before_its_cells() -> None:
    axes: dict[str, list[object]] = {
        "nir": ["iid", "25"],
        "defense": ["median", "fedavg"],
        "seed": [0, 1],
    }
    grid = make_grid("mine", "Mine", BASES, axes)
    keys = [cell.key for cell in grid.cells]
    assert len(keys) == len(set(keys)) == 2 * 2 * 2 * 2 + 2 * 2 * 2
    for number, cell in enumerate(grid.cells):
        assert keys.index(cell.clean.key) <= number
    places = [tuple(cell.at.values()) for cell in grid.cells]
    assert len(set(places)) == len(places)
    bare = make_grid("mine", "Mine", BASES, axes, clean=False)
    assert not any(is_clean(cell.config) for cell in bare.cells)
    assert [cell for cell in grid.cells if not is_clean(cell.config)] == list(bare.cells)
    assert [cell.at["dataset"] for cell in bare.cells] == ["mnist"] * 8 + [
        "fashion-mnist"
    ] * 8
    assert [type(cell.config.defense) for cell in bare.cells[:4]] == [
        Median, Median, FedAvg, FedAvg,
    ]  # fmt: skip


def test_other_axes_are_settings() -> None:
    axes: dict[str, list[object]] = {"training.lr": [0.01, 0.1], "attack": ["mla", "none"]}
    grid = make_grid("mine", "Mine", {"mnist": MNIST}, axes, clean=False)
    assert [cell.config.training.lr for cell in grid.cells] == [0.01, 0.01, 0.1, 0.1]
    assert [cell.config.attack for cell in grid.cells[:2]] == [ATTACK_PRESETS["mla"], None]
    assert grid.cells[2].at["training.lr"] == "0.1"
    assert grid.cells[0].at["attack"] == "mla"


def test_a_part_changes_what_another_axis_names() -> None:
    axes: dict[str, list[object]] = {
        "attack.pdr": [0.1, 0.4],
        "attack": ["dba", "centralised", "none"],
        "defense.eps": ["kth", "authors"],
        "defense": ["fedward"],
        "partition": [{"name": "dirichlet", "alpha": 1.0}],
        "partition.min_size": [5],
        "nir": [50],
    }
    grid = make_grid("mine", "Mine", {"mnist": MNIST}, axes, clean=False)
    found = [
        (c.at["attack"], c.at.get("attack.pdr"), c.at.get("pdr"), c.at["defense.eps"])
        for c in grid.cells
    ]
    assert found == [
        ("dba", "0.1", "10", "kth"),
        ("dba", "0.1", "10", "authors"),
        ("centralised", "0.1", "10", "kth"),
        ("centralised", "0.1", "10", "authors"),
        ("none", None, None, "kth"),
        ("none", None, None, "authors"),
        ("dba", "0.4", "40", "kth"),
        ("dba", "0.4", "40", "authors"),
        ("centralised", "0.4", "40", "kth"),
        ("centralised", "0.4", "40", "authors"),
    ]
    for cell in grid.cells:
        table = to_table(cell.config)
        assert table["partition"] == {"name": "dirichlet", "alpha": 0.5, "min_size": 5}
        assert table["defense"]["eps"] == cell.at["defense.eps"]
        if table["attack"] is not None:
            assert str(table["attack"]["pdr"]) == cell.at["attack.pdr"]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"defence": ["median"]}, "Did you mean 'defense'"),
        ({"defense": ["medain"]}, "Did you mean 'median'"),
        ({"training.learning": [1]}, "unknown option of training"),
        ({"attack": ["bda"]}, "Did you mean 'dba'"),
        ({"nir": ["often"]}, "percentage above 0, got 'often'"),
        ({"defense": []}, "the axis defense needs at least one value"),
        ({"attack": ["inner-product"], "pdr": [5]}, "needs an attack that poisons"),
        ({"nir": [25], "partition.alpha": [1]}, "sets 25, and partition.alpha makes 100"),
        ({"attack.pdr": [0.1], "pdr": [40]}, "sets 40, and attack.pdr makes 10"),
        (
            {"defense.eps": ["kth"], "defense": ["flame"]},
            "unknown option of defense .flame.",
        ),
    ],
)
def test_axes_that_do_not_exist(axes: dict[str, list[object]], message: str) -> None:
    with pytest.raises((UnknownName, ValueError), match=message):
        make_grid("mine", "Mine", {"mnist": MNIST}, axes)


def test_cells_are_values() -> None:
    one, two = (make_cell(MNIST, {"nir": "iid"}) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert isinstance(one, Cell)
