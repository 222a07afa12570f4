import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedward.bench.grid import make_grid
from fedward.bench.paper import NIRS, PDRS, Place, table1
from fedward.bench.results import read_results
from fedward.report.grid_cells import entries, found_grid
from fedward.report.grid_sheets import Sheet, lay_out
from fedward.report.grid_tables import (
    Shown,
    ShownTable,
    errors_table,
    main_table,
    matrix_table,
    signed,
    spread,
    tone,
)
from fedward.report.intervals import interval
from fedward.simulation.presets import PRESETS
from tests.report.grids import (
    attack_grid,
    only_matrix,
    only_sheet,
    paper_grid,
    result,
    results,
)

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
COMMITTED = Path(__file__).parents[2] / "results" / "mnist-nir50-pdr31"


def cell(table: ShownTable, line: str, place: int, block: int = 0) -> Shown:
    (found,) = [x for x in table.blocks[block].lines if x.heading == line]
    return found.cells[place]


def test_numbers() -> None:
    assert spread(interval([0.0202])) == "2.02"
    assert spread(interval([0.02, 0.04])) == "3.00 ± 12.71"
    assert spread(None) == DASH
    assert (signed(0.011), signed(-0.0011), signed(0.0)) == (
        "+1.10",
        f"{MINUS}0.11",
        "+0.00",
    )


@pytest.mark.parametrize(
    ("key", "off", "expected"),
    [
        ("aasr", 0.05, "near"),
        ("aasr", -0.05, "near"),
        ("aasr", 0.051, "worse-1"),
        ("aasr", -0.051, "better-1"),
        ("aasr", 0.16, "worse-2"),
        ("aasr", -0.9, "better-3"),
        ("ma", 0.02, "near"),
        ("ma", 0.03, "better-1"),
        ("ma", -0.03, "worse-1"),
        ("ma", -0.17, "worse-3"),
        ("ma", None, ""),
    ],
)
def test_tone_is_the_distance_in_whose_favour(
    key: str, off: float | None, expected: str
) -> None:
    assert tone(key, off) == expected


def test_ours_stands_beside_the_papers() -> None:
    """The committed run, with the numbers of its file and of the printed table."""
    found = read_results([COMMITTED])
    (page,) = lay_out(entries(found_grid(found), found))
    assert isinstance(page, Sheet)
    table = main_table(page)
    assert (table.groups, table.columns) == (("NIR 50 %",), ("AASR", "MA"))
    assert [block.heading for block in table.blocks] == ["PDR 31.25 %"]
    stored = {
        path.stem: json.loads(path.read_text())["metrics"] for path in COMMITTED.iterdir()
    }
    aasr, ma = cell(table, "fedward", 0), cell(table, "fedward", 1)
    assert aasr.text == f"{100 * stored['fedward']['aasr']:.2f}" == "2.02"
    assert ma.text == f"{100 * stored['fedward']['ma_final']:.2f}" == "96.97"
    # Table I, MNIST, NIR 50, PDR 31.25, Fedward: 0.92 and 97.08.
    assert aasr.notes == ("paper 0.92, +1.10", "floor 0.62, n = 1")
    assert ma.notes == (f"paper 97.08, {MINUS}0.11",)
    assert (aasr.tone, ma.tone, aasr.best) == ("near", "near", True)
    plain = cell(table, "fedavg", 0)
    assert (plain.text, plain.notes, plain.tone, plain.best) == (
        f"{100 * stored['fedavg']['aasr']:.2f}",
        ("floor 0.62, n = 1",),
        "",
        False,
    )
    assert cell(table, "fedavg, nobody attacks", 0).notes == ("the floor, n = 1",)
    assert aasr.key in found


def test_a_far_cell_is_coloured_and_marked_in_text_too() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["median", "fedward"])
    found = results(
        grid.cells,
        {
            "median": {"aasr": 0.6072, "ma_final": 0.9493},
            "fedward": {"aasr": 0.0151, "ma_final": 0.9368},
        },
    )
    table = main_table(only_sheet(grid, found))
    # Table I: Median 10.72 and 95.93, Fedward 1.51 and 96.68.
    median = cell(table, "median", 0)
    assert (median.tone, median.notes[0]) == ("worse-3", "paper 10.72, +50.00 ▲")
    assert cell(table, "median", 1).tone == "near"
    low = cell(table, "fedward", 1)
    assert (low.tone, low.notes) == ("worse-1", (f"paper 96.68, {MINUS}3.00 ▼",))
    assert cell(table, "median", 0).notes[1] == f"floor {DASH}, n = 1"


def test_missing_is_said_and_the_papers_number_stays() -> None:
    table = main_table(only_sheet(paper_grid(nirs=NIRS), {}))
    for number, pdr in enumerate(PDRS[1:]):
        for place, nir in enumerate(NIRS):
            theirs = table1()[Place("mnist", nir, pdr, "median")]
            aasr = cell(table, "median", 2 * place, number)
            assert (aasr.text, aasr.tone, aasr.key) == ("missing", "missing", None)
            assert aasr.notes == (f"paper {100 * theirs.aasr:.2f}",)
            ma = cell(table, "median", 2 * place + 1, number)
            assert ma.notes == (f"paper {100 * theirs.ma:.2f}",)
    assert cell(table, "fedavg", 0).notes == ()


def test_other_settings_stand_apart_without_a_colour() -> None:
    found = read_results([COMMITTED.parent / "fashion-nir50-pdr31"])
    (page,) = lay_out(entries(found_grid(found), found))
    assert isinstance(page, Sheet)
    ma = cell(main_table(page), "fedward", 1)
    assert (ma.tone, ma.text) == ("apart", "77.58")
    assert ma.notes == (f"paper 84.71, {MINUS}7.13 ▼ †",)


def test_best_is_the_lowest_attacked_aasr_of_its_split_and_share() -> None:
    grid = paper_grid()
    shares = {
        "clean": 0.001,
        "fedavg": 0.9,
        "median": 0.02,
        "flame": 0.01,
        "fedward": 0.015,
    }
    found = results(grid.cells, {name: {"aasr": aasr} for name, aasr in shares.items()})
    table = main_table(only_sheet(grid, found))
    for block in table.blocks:
        for line in block.lines:
            assert [c.best for c in line.cells[::2]] == [line.heading == "flame"] * 2
            assert not any(c.best for c in line.cells[1::2])


def test_errors_are_those_of_methods_that_select() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["31.25"])
    found = results(grid.cells, {"fedward": {"aer": 0.025, "brr": 0.125}})
    table = errors_table(only_sheet(grid, found))
    assert table is not None
    assert [line.heading for line in table.blocks[0].lines] == ["flame", "fedward"]
    aer, brr = table.blocks[0].lines[1].cells
    assert (aer.text, aer.notes) == ("2.50", ("paper's text 0.00",))
    assert (brr.text, brr.notes) == ("12.50", ())
    assert table.blocks[0].lines[0].cells[0].text == "missing"
    only_means = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["median"])
    assert errors_table(only_sheet(only_means, {})) is None


def test_a_defence_can_claim_nothing_against_an_attack_that_was_not_shown() -> None:
    grid = attack_grid()
    found = results(
        [c for c in grid.cells if c.at["attack"] in ("none", "dba")],
        {
            "clean": {"aasr": 0.02},
            "fedavg": {"aasr": 0.72},
            "median": {"aasr": 0.32},
            "fedward": {"aasr": 0.03, "aer": 0.05, "brr": 0.15, "ma_final": 0.93},
        },
    )
    weak = [c for c in grid.cells if c.at["attack"] == "norm-matching"]
    found |= results(weak, {"fedavg": {"aasr": 0.05}, "fedward": {"aasr": 0.04}})
    table = matrix_table(only_matrix(grid, found))
    assert table.groups == ("Strength", "fedavg", "median", "flame", "fedward")
    lines = {line.heading: line for line in table.blocks[0].lines}
    strength, _, median, flame, fedward = lines["dba"].cells
    assert (strength.text, strength.notes, strength.tone) == ("70.00", ("shown",), "strong")
    assert (median.text, median.tone) == ("+30.00", "broken")
    assert (flame.text, flame.tone) == ("missing", "missing")
    assert (fedward.text, fedward.tone) == ("+1.00", "held")
    assert fedward.notes == ("AASR 3.00", "AER 5.00", "BRR 15.00", "MA 93.00", "n = 1")
    assert lines["dba"].note == ""
    row = lines["norm-matching"]
    assert (row.note, row.cells[0].tone) == ("achieves +3.00 against FedAvg", "weak")
    assert row.cells[4].tone == "weak"
    assert lines["inner-product"].note == "missing against FedAvg"
    quiet = lines["nobody attacks"].cells
    assert (quiet[1].text, quiet[4].text) == ("MA 90.00", "")


def test_an_attack_without_its_clean_twin_was_measured_all_the_same() -> None:
    grid = attack_grid(attacks=["dba", "norm-matching", "inner-product"])
    found = results(grid.cells, {"fedavg": {"aasr": 0.72}})
    twin = next(c.clean for c in grid.cells if c.at["attack"] == "norm-matching")
    found |= {twin.key: result(twin.config, aasr=None)}
    lines = matrix_table(only_matrix(grid, found)).blocks[0].lines
    notes = {line.heading: line.note for line in lines}
    assert notes["dba"] == notes["inner-product"] == "its clean twin is missing"
    assert notes["norm-matching"] == "not measured against FedAvg"


def test_an_attack_that_stops_early_is_not_judged_by_other_rounds() -> None:
    base = PRESETS["demo"].config
    stopped = {"x": replace(base, attackers=replace(base.attackers, stop=8))}
    axes = {"attack": ["dba", "inner-product"], "defense": ["fedavg"]}
    grid = make_grid("x", "x", stopped, axes)
    _, struck, _, untargeted = grid.cells
    found = {cell.key: result(cell.config) for cell in grid.cells}
    found[struck.key] = result(struck.config, aasr=0.5)
    found[untargeted.key] = result(untargeted.config, aasr=None, ma_last10=0.4)
    lines = matrix_table(only_matrix(grid, found)).blocks[0].lines
    notes = {line.heading: line.note for line in lines}
    assert notes["dba"] == "stops before the run does, so it has no floor"
    # Accuracy is over the same last rounds in both.
    assert notes["inner-product"] == ""


def test_an_attack_that_never_met_the_plain_mean_is_not_shown() -> None:
    grid = attack_grid(methods=["fedward"])
    found = results(grid.cells, {"clean": {}, "fedward": {"aasr": 0.5}})
    lines = matrix_table(only_matrix(grid, found)).blocks[0].lines
    notes = {line.heading: line.note for line in lines if line.heading != "nobody attacks"}
    assert set(notes.values()) == {"not run against FedAvg"}
    assert {c.tone for line in lines[1:] for c in line.cells if c.text} == {"weak"}
