import pytest

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


def unit(cell: Cell) -> tuple[str, ...]:
    """What costs something: of clean twins that differ in the share alone, one."""
    free = ("pdr",) if cell.at["attack"] == "none" else ()
    return tuple(value for axis, value in cell.at.items() if axis not in free)


@pytest.mark.parametrize("count", [1, 2, 8, 19, 40])
def test_shards_are_a_partition_into_equal_parts(count: int) -> None:
    """19 is how many cells of a data set and split cost something."""
    parts = [shard(CELLS, number, count) for number in range(1, count + 1)]
    dealt = [id(cell) for part in parts for cell in part]
    assert sorted(dealt) == sorted(map(id, CELLS))
    units = [{unit(cell) for cell in part} for part in parts]
    assert sum(map(len, units)) == len({unit(cell) for cell in CELLS}) == 24 * 19
    assert max(map(len, units)) - min(map(len, units)) <= 1
    assert [shard(CELLS, number, count) for number in range(1, count + 1)] == parts


def test_shards_by_text() -> None:
    assert parse_shard("2/8") == (2, 8)
    for wrong in ("0/8", "9/8", "2", "a/b", "2/", "-1/8"):
        with pytest.raises(ValueError, match=r"--shard needs the form 2/8.*got"):
            parse_shard(wrong)
