import pytest
from hypothesis import given, strategies as st

from fedward.bench.grid import Cell
from fedward.bench.grids import Wishes, table1
from fedward.bench.selection import parse_only, parse_shard, select, shard
from fedward.settings import UnknownName

CELLS = table1(Wishes(seeds=(0, 1))).cells


def chosen(*texts: str) -> tuple[Cell, ...]:
    return select(CELLS, parse_only(texts))


def test_axes_are_joined_by_and_values_by_or() -> None:
    one = chosen("dataset=mnist,nir=25,pdr=46.875,seed=0")
    assert len(one) == 6 + 1
    two = chosen("dataset=mnist,nir=25", "dataset=cifar10,pdr=46.875", "seed=0")
    assert {cell.at["dataset"] for cell in two} == {"mnist", "cifar10"}
    assert len(two) == 2 * (6 + 1)


def test_a_cell_brings_its_floor() -> None:
    found = chosen("defense=fedward,nir=iid,seed=1")
    attacked = [cell for cell in found if cell.at["attack"] == "dba"]
    assert len(attacked) == 9
    assert {cell.clean.key for cell in attacked} | {c.key for c in attacked} == {
        cell.key for cell in found
    }
    assert {cell.at["attack"] for cell in chosen("attack=none")} == {"none"}


def test_nothing_asked_is_everything_in_order() -> None:
    assert chosen() == CELLS
    part = chosen("nir=50")
    assert part == tuple(cell for cell in CELLS if cell in part)


def test_what_no_cell_has() -> None:
    with pytest.raises(UnknownName, match="unknown axis 'dateset'"):
        chosen("dateset=mnist")
    with pytest.raises(UnknownName, match="axis dataset: 'mnst'"):
        chosen("dataset=mnst")
    with pytest.raises(ValueError, match="--only needs the form axis=value, got 'mnist'"):
        chosen("mnist")


@given(st.integers(1, 40))
def test_shards_are_a_partition(count: int) -> None:
    parts = [shard(CELLS, number, count) for number in range(1, count + 1)]
    dealt = [id(cell) for part in parts for cell in part]
    assert sorted(dealt) == sorted(map(id, CELLS))
    sizes = [sum(cell.at["attack"] != "none" for cell in part) for part in parts]
    assert max(sizes) - min(sizes) <= 0.1 * len(CELLS) / count + 13
    assert [shard(CELLS, number, count) for number in range(1, count + 1)] == parts


@given(st.integers(1, 40))
def test_twins_that_cost_nothing_together_stay_together(count: int) -> None:
    homes: dict[tuple[str, ...], set[int]] = {}
    for number in range(1, count + 1):
        for cell in shard(CELLS, number, count):
            if cell.at["attack"] == "none":
                place = (cell.at["dataset"], cell.at["nir"], cell.at["seed"])
                homes.setdefault(place, set()).add(number)
    assert len(homes) == 24
    assert all(len(numbers) == 1 for numbers in homes.values())


def test_shards_by_text() -> None:
    assert parse_shard("2/8") == (2, 8)
    for wrong in ("0/8", "9/8", "2", "a/b", "2/", "-1/8"):
        with pytest.raises(ValueError, match=r"--shard needs the form 2/8.*got"):
            parse_shard(wrong)
