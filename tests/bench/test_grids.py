import itertools
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from fedward.attacks import ATTACKS, DBA
from fedward.bench.grid import Grid
from fedward.bench.grids import (
    GRIDS,
    PARTS,
    Wishes,
    ablation,
    table1,
    variants,
)
from fedward.bench.paper import table1 as printed
from fedward.data.partition import IID, DirichletAuthors
from fedward.defenses import DEFENSES, CRFLAuthors, FedAvg, Fedward
from fedward.simulation.config import from_table, is_clean
from fedward.simulation.presets import CIFAR10, FASHION


@cache
def named(name: str) -> Grid:
    return GRIDS[name](Wishes())


def attacked(grid: Grid) -> list[dict[str, str]]:
    return [dict(cell.at) for cell in grid.cells if not is_clean(cell.config)]


def test_table1_has_every_cell_that_the_paper_printed_and_no_other() -> None:
    found = {
        (at["dataset"], at["nir"], float(at["pdr"]), at["defense"])
        for at in attacked(named("table1"))
    }
    assert found == {(p.dataset, p.nir, p.pdr, p.method) for p in printed()}
    assert len(attacked(named("table1"))) == len(found) == 216


def test_table1_runs_the_papers_protocol() -> None:
    (cell,) = (
        cell for cell in named("table1").cells
        if list(cell.at.values())[:5] == ["cifar10", "75", "15.625", "dba", "fedward"]
    )  # fmt: skip
    assert cell.config == replace(
        CIFAR10, partition=DirichletAuthors(alpha=0.75), attack=DBA(pdr=0.15625)
    )
    (even,) = (
        cell for cell in named("table1").cells
        if list(cell.at.values())[:5] == ["fashion-mnist", "iid", "31.25", "dba", "fedward"]
    )  # fmt: skip
    assert even.config == replace(FASHION, partition=IID())


def test_every_floor_is_in_the_grid_before_its_cells() -> None:
    for name in ("figure3", "ablation"):
        keys = [cell.key for cell in named(name).cells]
        assert len(set(keys)) == len(keys)
        place = {key: number for number, key in enumerate(keys)}
        for cell in named(name).cells:
            if cell.config.attack is not None:
                assert place[cell.clean.key] <= place[cell.key]


def test_the_order_is_that_of_urgency() -> None:
    """First the strongest attack on grey images that are least alike, last CIFAR-10."""
    places = attacked(table1(Wishes(seeds=(0, 1))))
    assert [at["seed"] for at in places] == ["0"] * 216 + ["1"] * 216
    first = places[:216]
    assert all((at["nir"], at["pdr"]) == ("25", "46.875") for at in first[:12])
    assert {at["dataset"] for at in first[:12]} == {"mnist", "fashion-mnist"}
    grey = [at["nir"] for at in first[12:144]]
    assert [nir for nir, _ in itertools.groupby(grey)] == ["25", "iid", "50", "75"]
    assert all(at["dataset"] == "cifar10" for at in first[144:])
    assert [nir for nir, _ in itertools.groupby(at["nir"] for at in first[144:])] == [
        "25", "iid", "50", "75",
    ]  # fmt: skip


def test_wishes() -> None:
    grid = table1(Wishes(extra=("fedavg", "crfl-authors", "median"), seeds=(3,)))
    assert len(attacked(grid)) == 36 * 8
    kinds: set[object] = {type(cell.config.defense) for cell in grid.cells}
    assert FedAvg in kinds
    assert CRFLAuthors in kinds
    assert {at["seed"] for at in attacked(grid)} == {"3"}
    quick = table1(Wishes(sets=("rounds=20", "training.lr=0.5")))
    assert {(c.config.rounds, c.config.training.lr) for c in quick.cells} == {(20, 0.5)}
    other = ablation(Wishes(preset="demo"))
    assert {cell.config.rounds for cell in other.cells} == {30}
    for wrong in (Wishes(preset="dmo"), Wishes(sets=("round=3",)), Wishes(extra=("crfk",))):
        with pytest.raises(ValueError, match="Did you mean"):
            table1(wrong)


def test_figure3_is_the_part_of_table1_that_selects() -> None:
    assert {cell.key for cell in named("figure3").cells} < {
        cell.key for cell in named("table1").cells
    }
    assert Counter(at["defense"] for at in attacked(named("figure3"))) == {
        "fedcc": 36, "flame": 36, "fedward": 36,
    }  # fmt: skip
    assert all(
        cell.config.defense.selects
        for cell in named("figure3").cells
        if cell.at["attack"] != "none"
    )


def test_the_ablation_changes_one_option_at_a_time() -> None:
    made = [from_table({"defense": dict(_parsed(text))}).defense for text in variants()]
    assert len(set(made)) == len(made) >= 12
    for defense in made:
        assert isinstance(defense, Fedward)
        changed = [
            name for name in Fedward.__dataclass_fields__
            if getattr(defense, name, None) != getattr(Fedward(), name, None)
        ]  # fmt: skip
        assert len(changed) == 1
    assert {"fedward:cluster=dbscan", "fedward:cluster=hdbscan", "fedward:amgrad=off",
            "fedward:clip=none"} <= set(variants())  # fmt: skip
    attacks_met = {cell.config.attack for cell in named("ablation").cells}
    assert len(attacks_met) == 2  # one a data set


def _parsed(text: str) -> dict[str, str]:
    name, option = text.split(":")
    key, value = option.split("=")
    return {"name": name, key: value}


def test_every_attack_meets_every_defense() -> None:
    pairs = {
        (type(cell.config.attack), type(cell.config.defense))
        for cell in named("attacks").cells
        if cell.config.attack is not None
    }
    assert pairs >= set(itertools.product(ATTACKS.values(), DEFENSES.values()))
    assert {at["defense"] for at in attacked(named("attacks"))} >= {
        f"fedward:{p}" for p in PARTS
    }
    nobody = [cell for cell in named("attacks").cells if cell.config.attack is None]
    assert {type(cell.config.defense) for cell in nobody} == set(DEFENSES.values())


def test_grids_are_known_by_their_names() -> None:
    assert {name: named(name).name for name in GRIDS} == {name: name for name in GRIDS}


@pytest.mark.parametrize("text", ["seed=7", "dataset=mnist", "defense.eps=kth"])
@pytest.mark.parametrize("name", sorted(GRIDS))
def test_a_setting_that_the_grid_varies_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="the grid has values of its own for"):
        GRIDS[name](Wishes(sets=(text,)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("table1", "attack.pdr=0.1"),
        ("figure3", "partition.alpha=3"),
        ("ablation", "attack.pdr=0.1"),
        ("attacks", "attack=pgd"),
        ("attacks", "attack.pdr=0.1"),
    ],
)
def test_a_place_of_the_grid_is_not_for_a_setting(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"--set {text}: the grid has values of its own"):
        GRIDS[name](Wishes(sets=(text,)))


def test_what_no_axis_says_is_for_a_setting() -> None:
    for sets in ("partition.name=dirichlet", "attack.target=3", "attackers.count=3"):
        changed = {cell.key for cell in table1(Wishes(sets=(sets,))).cells}
        assert not changed & {cell.key for cell in table1().cells if cell.at["nir"] == "25"}
    made = ablation(Wishes(preset="matrix", sets=("attack.pdr=0.1",)))
    assert {cell.at["pdr"] for cell in made.cells} == {"10"}
