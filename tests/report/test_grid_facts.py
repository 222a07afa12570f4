from dataclasses import replace

from fedward.bench.grid import Cell, Grid, place
from fedward.bench.grids import PAPER
from fedward.report.grid_cells import entries
from fedward.report.grid_facts import (
    FACTS,
    apart,
    differences,
    headline,
    provenance,
    settings_table,
    tally,
    times_table,
)
from fedward.report.grid_sheets import lay_out
from tests.report.grids import (
    attack_grid,
    only_matrix,
    only_sheet,
    paper_grid,
    result,
    results,
)

NEAR_AND_FAR = {
    # Table I, MNIST, NIR 25, PDR 46.875: Median 10.72 / 95.93, FLAME 1.66 / 96.47,
    # Fedward 1.51 / 96.68.
    "median": {"aasr": 0.5072, "ma_final": 0.9593},
    "flame": {"aasr": 0.0166, "ma_final": 0.9147},
    "fedward": {"aasr": 0.0251, "ma_final": 0.9668},
    "clean": {"aasr": 0.01},
}


def test_headline_and_card_count_cells_and_how_near_they_are() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"])
    found = results(grid.cells, NEAR_AND_FAR)
    assert headline(entries(grid, found)) == [
        "4 of 5 cells are finished.",
        "The paper has 3 of them, seeds together. Attack success is within 5 points of the "
        "paper's in 2, accuracy within 2 points in 2.",
    ]
    numbers = dict(tally(only_sheet(grid, found)).numbers)
    assert numbers["Cells finished"].text == "4 of 5"
    aasr, ma = numbers["AASR within 5 points"], numbers["MA within 2 points"]
    assert (aasr.text, aasr.note) == ("2 of 3", "median difference 1.00")
    assert (ma.text, ma.note) == ("2 of 3", "median difference 0.00")
    assert headline(entries(grid, {})) == ["0 of 5 cells are finished."]


def test_headline_and_card_count_a_cell_of_the_paper_once() -> None:
    variants = ["fedward-authors", "fedward:clip=authors", "fedward:eps=kth"]
    methods = ["median", "fedward", *variants]
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=methods)
    shares = dict.fromkeys(variants, NEAR_AND_FAR["fedward"])
    found = results(grid.cells, NEAR_AND_FAR | shares)
    assert headline(entries(grid, found))[1:] == [
        "The paper has 2 of them, seeds together. Attack success is within 5 points of the "
        "paper's in 1, accuracy within 2 points in 2.",
        "3 more stand beside the paper's number without counting: variants of its methods, "
        "with other options or as the authors' code has them.",
    ]
    numbers = dict(tally(only_sheet(grid, found)).numbers)
    assert numbers["AASR within 5 points"].text == "1 of 2"
    alone = results(grid.cells, {"fedward-authors": {}})
    assert [said[:14] for said in headline(entries(grid, alone))[1:]] == ["1 more stands "]


def test_differences_are_the_far_cells_the_furthest_first() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"])
    made = differences(entries(grid, results(grid.cells, NEAR_AND_FAR)))
    assert [(d.place, d.aasr, d.ma, d.seeds) for d in made] == [
        ("mnist, NIR 25 %, PDR 46.875 %, dba, median", "+40.00", "+0.00", 1),
        ("mnist, NIR 25 %, PDR 46.875 %, dba, flame", "+0.00", "\N{MINUS SIGN}5.00", 1),
    ]


def test_other_settings_are_named_and_do_not_count() -> None:
    config = replace(PAPER["mnist"], rounds=10)
    grid = Grid("x", "x", (Cell(config, place(config)),))
    made = entries(grid, {config.key: result(config, aasr=0.9)})
    assert apart(made) == [
        ("mnist, NIR 50 %, PDR 31.25 %, dba, fedward", "rounds 10, not 110")
    ]
    assert differences(made) == []
    assert headline(made)[1:] == [
        "1 more stands beside the paper's number without counting, because the settings "
        "are not the paper's."
    ]


def test_card_of_a_matrix_counts_attacks_that_were_shown() -> None:
    grid = attack_grid()
    struck = [c for c in grid.cells if c.at["attack"] in ("none", "dba")]
    found = results(struck, {"clean": {"aasr": 0.0}, "fedavg": {"aasr": 0.5}})
    numbers = dict(tally(only_matrix(grid, found)).numbers)
    assert numbers["Attacks shown against FedAvg"].text == "1 of 3"
    assert numbers["Cells finished"].text == f"{len(found)} of {len(grid.cells)}"


def test_times_pool_runs_of_a_kind() -> None:
    grid = paper_grid(nirs=["25", "iid"], pdrs=["31.25"], methods=["median", "fedward"])
    found = results(grid.cells, {"median": {}, "fedward": {}, "clean": {}})
    rows = times_table(entries(grid, found)).rows
    assert {row.heading.text for row in rows} == {"mnist"}
    common = ["cpu (a processor)", "2", "parallel"]
    assert [[cell.text for cell in row.cells] for row in rows] == [
        ["attacked", *common, "4", "275", "2.50"],
        ["nobody attacks", *common, "2", "275", "2.50"],
    ]


def test_every_number_says_where_it_came_from() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["fedward"], seeds=[0, 4])
    found = results(grid.cells, {"fedward": {}})
    made = provenance(entries(grid, found))
    assert [row.key for row in made] == list(found)
    facts = dict(zip(FACTS, made[1].facts, strict=True))
    assert facts == {
        "Seed": "4", "Finished": "2026-01-05T10:20:30Z", "s": "275", "fedward": "0.1.0",
        "torch": "2.13.0", "python": "3.11.7", "device": "cpu (a processor)",
        "threads": "2", "engine": "parallel", "commit": "0123abc",
    }  # fmt: skip
    assert made[0].command == "fedward bench part"
    assert made[0].place == "mnist, NIR 25 %, PDR 31.25 %, dba, fedward"


def test_settings_say_what_a_sheet_shares_and_what_varies() -> None:
    grid = paper_grid(datasets=["mnist", "fashion-mnist"], methods=["median", "fedward"])
    table = settings_table(lay_out(entries(grid, {})))
    rows = {row.heading.text: [cell.text for cell in row.cells] for row in table.rows}
    assert rows["training.epochs"] == ["1", "2"]
    assert rows["rounds"] == ["110", "110"]
    assert rows["attack.pdr"] == ["varies: 0.3125, 0.46875"] * 2
    assert rows["defense.name"] == ["varies: fedavg, median, fedward"] * 2
    assert "seed" not in rows
