from dataclasses import replace
from pathlib import Path

import pytest

from fedward.attacks import DBA
from fedward.bench.grid import Cell, Grid, place
from fedward.bench.grids import GRIDS, PAPER, Wishes
from fedward.bench.paper import PDRS, Place, table1
from fedward.bench.results import read_results
from fedward.data.partition import IID, Dirichlet, DirichletAuthors
from fedward.defenses import CRFL, Fedward
from fedward.report.grid_cells import (
    deviations,
    entries,
    found_grid,
    method_text,
    paper_place,
)
from fedward.report.intervals import interval
from fedward.simulation.config import clean_twin
from tests.report.grids import attack_grid, entry_of, paper_grid, result, results

COMMITTED = [
    Path(__file__).parents[2] / "results" / name
    for name in ("mnist-nir50-pdr31", "fashion-nir50-pdr31", "demo")
]


def test_seeds_of_a_cell_stand_together_with_their_interval_and_own_floor() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["fedward"], seeds=[0, 1, 2])
    aasr, low = {0: 0.02, 1: 0.05, 2: 0.03}, {0: 0.01, 1: 0.02, 2: 0.0}
    found = {}
    for cell in grid.cells:
        shares = low if cell.at["attack"] == "none" else aasr
        found[cell.key] = result(cell.config, aasr=shares[cell.config.seed])
    made = entries(grid, found)
    assert [len(entry.samples) for entry in made] == [3, 3]
    entry = entry_of(made, attack="dba")
    assert "seed" not in entry.at
    assert entry.share("aasr") == interval([0.02, 0.05, 0.03])
    assert entry.floor == interval([0.01, 0.02, 0.0])
    excess = entry.over_seeds(lambda sample: sample.excess)
    assert excess is not None
    assert excess.mean == pytest.approx((0.01 + 0.03 + 0.03) / 3)
    # Seeds are paired: the spread is that of the differences, not of both apart.
    assert excess == interval([0.02 - 0.01, 0.05 - 0.02, 0.03 - 0.0])


def test_a_twin_that_the_grid_does_not_hold_is_still_the_floor() -> None:
    config = PAPER["mnist"]
    twin = clean_twin(config)
    found = {c.key: result(c, aasr=a) for c, a in ((config, 0.5), (twin, 0.125))}
    (entry,) = entries(Grid("x", "x", (Cell(config, place(config)),)), found)
    assert entry.floor == interval([0.125])
    assert entry.samples[0].excess == 0.375


def test_an_attack_that_stops_early_has_no_floor() -> None:
    """Its twin's AASR is the mean to the end of the run, over other rounds."""
    base = PAPER["mnist"]
    for stop, floor in ((8, None), (base.rounds, 0.125), (None, 0.125)):
        config = replace(base, attackers=replace(base.attackers, stop=stop))
        found = {
            c.key: result(c, aasr=a)
            for c, a in ((config, 0.5), (clean_twin(config), 0.125))
        }
        (entry,) = entries(Grid("x", "x", (Cell(config, place(config)),)), found)
        (sample,) = entry.samples
        above = None if floor is None else 0.375
        assert (sample.floor, sample.excess, sample.harm) == (floor, above, above)
        assert entry.stops_early == (floor is None)


def test_missing_seeds_are_counted_and_not_averaged() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["median"], seeds=[0, 1])
    first = next(c for c in grid.cells if c.at["attack"] == "dba")
    entry = entry_of(
        entries(grid, {first.key: result(first.config, aasr=0.25)}), attack="dba"
    )
    assert (len(entry.samples), len(entry.measured)) == (2, 1)
    assert entry.share("aasr") == interval([0.25])
    assert entry.floor is None
    assert entry.share("aer") is None
    assert not entry.selects


def test_an_attack_without_a_target_is_judged_by_the_accuracy_it_costs() -> None:
    grid = attack_grid(attacks=["inner-product"], methods=["fedavg"])
    twin, struck = grid.cells
    found = {
        twin.key: result(twin.config, aasr=None, ma_last10=0.9),
        struck.key: result(struck.config, aasr=None, ma_last10=0.4),
    }
    made = entries(grid, found)
    assert entry_of(made, attack="inner-product").samples[0].harm == pytest.approx(0.5)
    assert entry_of(made, attack="none").samples[0].harm is None


def test_every_cell_of_table1_finds_its_number() -> None:
    """Both ways: no cell of the declared grid lacks one, and no number lacks its cell."""
    attacked = [e for e in entries(GRIDS["table1"](Wishes()), {}) if not e.clean]
    places = [paper_place(entry.config) for entry in attacked]
    assert set(places) == set(table1())
    assert len(places) == len(table1())
    assert [e.published for e in attacked] == [table1()[p] for p in places if p]
    assert {entry.deviations for entry in attacked} == {()}


@pytest.mark.parametrize(
    "config",
    [
        clean_twin(PAPER["mnist"]),
        replace(PAPER["mnist"], attack=None),
        replace(PAPER["mnist"], attack=DBA(pdr=0.5)),
        replace(PAPER["mnist"], partition=DirichletAuthors(alpha=0.1)),
        replace(PAPER["mnist"], partition=Dirichlet(alpha=0.5)),
        replace(PAPER["mnist"], dataset="mnist-small"),
    ],
)
def test_what_the_paper_did_not_run_has_no_number_of_its(config: object) -> None:
    (entry,) = entries(Grid("x", "x", (Cell(config, place(config)),)), {})  # type: ignore[arg-type]
    assert entry.published is None
    assert entry.deviations == ()
    assert entry.off("aasr") is None


def test_the_cells_own_axes_are_no_deviation() -> None:
    for dataset, config in PAPER.items():
        attack = config.attack
        assert isinstance(attack, DBA)
        for pdr in PDRS:
            own = replace(
                config,
                partition=IID(),
                attack=replace(attack, pdr=pdr / 100),
                defense=CRFL(),
                seed=7,
            )
            assert deviations(own) == ()
            assert paper_place(own) == Place(dataset, "iid", pdr, "crfl")


def test_every_other_setting_is() -> None:
    base = PAPER["fashion-mnist"]
    changed = replace(base, rounds=60, training=replace(base.training, lr=0.1))
    assert deviations(changed) == ("rounds 60, not 110", "training.lr 0.1, not 0.01")
    assert isinstance(base.attack, DBA)
    weaker = replace(base, attack=replace(base.attack, epochs=1))
    assert deviations(weaker) == ("attack.epochs 1, not 5",)


def test_the_difference_is_ours_minus_the_papers() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["46.875"], methods=["fedward"])
    found = results(grid.cells, {"fedward": {"aasr": 0.0351, "ma_final": 0.9568}})
    entry = entry_of(entries(grid, found), attack="dba")
    # Table I: 1.51 and 96.68.
    assert entry.off("aasr") == pytest.approx(0.02)
    assert entry.off("ma") == pytest.approx(-0.01)


def test_committed_results_are_laid_out_as_they_are() -> None:
    found = read_results(COMMITTED)
    made = entries(found_grid(found), found)
    assert sum(len(entry.samples) for entry in made) == len(found) >= 15
    fedward = entry_of(made, dataset="mnist", nir="50", pdr="31.25", defense="fedward")
    assert fedward.published == table1()[Place("mnist", "50", 31.25, "fedward")]
    assert fedward.deviations == ()
    short = entry_of(made, dataset="fashion-mnist", nir="50", defense="fedward")
    assert short.deviations == ("rounds 60, not 110",)
    quiet = [e for e in made if e.at["dataset"] == "mnist-small" and e.clean]
    assert {method_text(e) for e in quiet} >= {
        "fedavg, nobody attacks",
        "fedward, nobody attacks",
        "fedward:eps=kth, nobody attacks",
    }


def test_what_was_found_is_in_the_papers_order() -> None:
    configs = [
        replace(PAPER["cifar10"], defense=Fedward()),
        replace(PAPER["mnist"], partition=DirichletAuthors(alpha=0.75)),
        replace(PAPER["mnist"], defense=Fedward(eps="kth")),
        replace(PAPER["mnist"], seed=1),
        PAPER["mnist"],
        clean_twin(PAPER["mnist"]),
        replace(PAPER["mnist"], defense=CRFL()),
        replace(PAPER["mnist"], partition=IID()),
    ]
    grid = found_grid({config.key: result(config) for config in configs})
    order = [7, 5, 6, 4, 3, 2, 1, 0]
    assert [cell.config for cell in grid.cells] == [configs[place] for place in order]
