from collections import Counter
from dataclasses import replace

import pytest

from fedward.attacks import ATTACK_PRESETS, ATTACKS
from fedward.bench.grid import Cell, Grid, place
from fedward.bench.grids import GRIDS, PAPER, Wishes
from fedward.bench.paper import METHODS, NIRS
from fedward.data.partition import Dirichlet, DirichletAuthors
from fedward.report.grid_cells import Entry, entries, found_grid
from fedward.report.grid_sheets import Matrix, Sheet, lay_out, split_text
from tests.report.grids import attack_grid, only_matrix, only_sheet, paper_grid, result


def test_table1_is_three_sheets_in_the_papers_order() -> None:
    pages = lay_out(entries(GRIDS["table1"](Wishes(extra=("fedavg",))), {}))
    assert [page.title for page in pages] == [
        "MNIST, attack dba",
        "Fashion-MNIST, attack dba",
        "CIFAR-10, attack dba",
    ]
    for page in pages:
        assert isinstance(page, Sheet)
        assert page.nirs == NIRS
        assert [block.pdr for block in page.blocks] == ["15.625", "31.25", "46.875"]
        for block in page.blocks:
            assert [line.method for line in block.lines] == [
                "fedavg, nobody attacks",
                "fedavg",
                *METHODS.values(),
            ]
            for line in block.lines:
                for nir, cell in zip(page.nirs, line.cells, strict=True):
                    assert cell is not None
                    assert (cell.at["nir"], cell.at["pdr"]) == (nir, block.pdr)
    assert len({page.id for page in pages}) == 3


def drawn(page: Sheet | Matrix) -> list[Entry]:
    """What the tables of a page are made of."""
    if isinstance(page, Sheet):
        return list(page.entries)
    cells = [*page.quiet, *(cell for strike in page.strikes for cell in strike.cells)]
    return [cell for cell in cells if cell is not None]


def as_found(grid: Grid) -> Grid:
    """The same cells as they are found on disk, where nobody says what was varied."""
    return found_grid({cell.key: result(cell.config) for cell in grid.cells})


GRIDS_OF_ALL_KINDS = {
    "ablation": GRIDS["ablation"](Wishes()),
    "attacks": attack_grid([*ATTACKS, *ATTACK_PRESETS], ["fedavg", "flame"]),
    "a few attacks": attack_grid(),
    "paper": paper_grid(),
    "presets of one attack": attack_grid(["dba", "ala", "amsa"], ["fedavg"]),
}


@pytest.mark.parametrize("found", [False, True], ids=["asked for", "found"])
@pytest.mark.parametrize("name", GRIDS_OF_ALL_KINDS)
def test_every_cell_is_drawn_exactly_once(name: str, found: bool) -> None:
    grid = GRIDS_OF_ALL_KINDS[name]
    held = entries(as_found(grid) if found else grid, {})
    pages = lay_out(held)
    assert Counter(id(e) for page in pages for e in page.entries) == Counter(map(id, held))
    shown = Counter(id(entry) for page in pages for entry in drawn(page))
    assert set(shown.values()) == {1}
    # The clean twins of several attacks are one federation, which one of them stands for.
    left = [entry for entry in held if id(entry) not in shown]
    assert all(entry.clean and entry.at["defense"] == "fedavg" for entry in left)
    assert all(any(isinstance(page, Matrix) for page in pages) for _ in left)


def test_attacks_of_one_name_are_told_apart_by_what_differs() -> None:
    names = ["dba-single-shot", "dba-single-shot-10", "dba", "ala"]
    grid = as_found(attack_grid(names, ["fedavg"]))
    (matrix,) = lay_out(entries(grid, {}))
    assert isinstance(matrix, Matrix)
    shots = [s.attack for s in matrix.strikes if s.attack.startswith("dba-single-shot")]
    assert sorted(shots) == ["dba-single-shot, scale 10.0", "dba-single-shot, scale 100.0"]
    rest = [s.attack for s in matrix.strikes if not s.attack.startswith("dba-single-shot")]
    assert len(rest) == 2
    assert any("epochs 10" in attack for attack in rest)


def test_splits_of_one_rate_are_columns_of_their_own() -> None:
    base = PAPER["mnist"]
    both = [
        replace(base, partition=made(alpha=0.25)) for made in (Dirichlet, DirichletAuthors)
    ]
    grid = Grid("x", "x", tuple(Cell(config, place(config)) for config in both))
    sheet = only_sheet(grid, {})
    assert [split_text(nir).split(", ")[:2] for nir in sheet.nirs] == [
        ["NIR 25 %", "name dirichlet"],
        ["NIR 25 %", "name dirichlet-authors"],
    ]
    assert len(drawn(sheet)) == 2


def test_a_cell_that_the_grid_lacks_is_a_gap() -> None:
    grid = paper_grid(nirs=["iid", "25"], pdrs=["31.25"], methods=["median", "fedward"])
    gone = next(
        cell
        for cell in grid.cells
        if (cell.at["nir"], cell.at["defense"]) == ("iid", "median")
    )
    rest = Grid("x", "x", tuple(cell for cell in grid.cells if cell is not gone))
    (block,) = only_sheet(rest, {}).blocks
    median = next(line for line in block.lines if line.method == "median")
    assert [cell is None for cell in median.cells] == [True, False]


def test_other_settings_are_another_sheet_and_say_what_differs() -> None:
    configs = (PAPER["mnist"], replace(PAPER["mnist"], rounds=60))
    grid = Grid("x", "x", tuple(Cell(config, place(config)) for config in configs))
    assert [page.title for page in lay_out(entries(grid, {}))] == [
        "MNIST, attack dba, rounds 110",
        "MNIST, attack dba, rounds 60",
    ]


def test_another_axis_is_in_the_name_of_the_line() -> None:
    cells = tuple(
        Cell(
            replace(PAPER["mnist"], defend_from=n),
            {**place(PAPER["mnist"]), "defend_from": f"{n}"},
        )
        for n in (3, 9)
    )
    (block,) = only_sheet(Grid("x", "x", cells), {}).blocks
    assert [line.method for line in block.lines] == [
        "fedward, defend_from 3",
        "fedward, defend_from 9",
    ]


def test_several_attacks_are_a_matrix_against_the_plain_mean_first() -> None:
    matrix = only_matrix(attack_grid(methods=["fedward", "fedavg"]), {})
    assert matrix.methods == ("fedavg", "fedward")
    assert [strike.attack for strike in matrix.strikes] == [
        "dba",
        "norm-matching",
        "inner-product",
    ]
    for strike in matrix.strikes:
        assert strike.undefended is strike.cells[0]
        assert [cell.at["defense"] for cell in strike.cells if cell] == [
            "fedavg",
            "fedward",
        ]
    quiet, nothing = matrix.quiet
    assert quiet is not None
    assert quiet.clean
    assert nothing is None


def test_an_attack_at_several_poisoned_shares_is_several_rows() -> None:
    cells = [
        cell
        for pdr in (0.1, 0.2)
        for attack in ("dba", "norm-matching")
        for cell in [attack_grid([f"{attack}"], ["fedavg"]).cells[-1]]
        for cell in [_poisoned(cell, pdr)]
    ]
    matrix = only_matrix(Grid("x", "x", tuple(cells)), {})
    assert [strike.attack for strike in matrix.strikes] == [
        "dba, PDR 10 %",
        "norm-matching, PDR 10 %",
        "dba, PDR 20 %",
        "norm-matching, PDR 20 %",
    ]


def _poisoned(cell: Cell, pdr: float) -> Cell:
    attack = cell.config.attack
    inner = getattr(attack, "base", None)
    changed = (
        replace(attack, pdr=pdr)  # type: ignore[type-var]
        if inner is None
        else replace(attack, base=replace(inner, pdr=pdr))  # type: ignore[type-var]
    )
    config = replace(cell.config, attack=changed)
    return Cell(config, place(config))


def test_a_matrix_a_split() -> None:
    cells = [
        Cell(c.config, {**c.at, "nir": nir})
        for nir in ("25", "50")
        for c in attack_grid(["dba", "norm-matching"], ["fedavg"]).cells
    ]
    unlike = [
        Cell(
            replace(
                c.config,
                partition=replace(c.config.partition, alpha=float(c.at["nir"]) / 100),
            ),
            c.at,
        )
        for c in cells
    ]
    pages = lay_out(entries(Grid("x", "x", tuple(unlike)), {}))
    assert [page.title for page in pages] == [
        "mnist-small, NIR 25 %",
        "mnist-small, NIR 50 %",
    ]
    assert all(isinstance(page, Matrix) for page in pages)


def test_splits_in_words() -> None:
    assert [split_text(nir) for nir in ("iid", "25", "grouped")] == [
        "IID",
        "NIR 25 %",
        "grouped",
    ]
