"""The page of attacks and defences is what its script makes of the results."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedward.attacks import ATTACKS, DBA, NOT_SHOWN, Attack, InnerProduct
from fedward.bench.results import read_results
from fedward.defenses import FedAvg, Fedward, Median
from fedward.simulation.config import RunConfig, clean_twin, from_table, to_table
from fedward.simulation.presets import PRESETS

ROOT = Path(__file__).parents[1]
RENDER = runpy.run_path(str(ROOT / "scripts" / "render_robustness.py"))
RESULTS = ROOT / "results" / "attacks"


def result(
    config: RunConfig, aasr: float | None, ma: float, aer: float | None = None
) -> dict[str, Any]:
    metrics = {
        "aasr": aasr, "asr_final": aasr, "ma_final": ma, "ma_last10": ma, "aer": aer,
        "brr": aer,
    }  # fmt: skip
    return {"config": to_table(config), "metrics": metrics}


def read(*results: dict[str, Any]) -> Any:
    return RENDER["read_cells"]({from_table(made["config"]).key: made for made in results})


def cell(attack: Attack | None, defense: Any, seed: int = 0) -> RunConfig:
    return replace(PRESETS["matrix"].config, attack=attack, defense=defense, seed=seed)


def test_a_table_by_hand() -> None:
    results = [
        result(clean_twin(cell(DBA(), FedAvg(), seed)), 0.05, 0.9) for seed in (0, 1, 2)
    ]
    for seed, aasr in enumerate([0.5, 0.6, 0.7]):
        results.append(result(cell(DBA(), FedAvg(), seed), aasr, 0.9))
        results.append(result(cell(DBA(), Fedward(), seed), 0.3, 0.88, aer=0.25))
        results.append(result(cell(DBA(), Median(), seed), 0.1, 0.86))
    results.append(result(cell(InnerProduct(), FedAvg()), None, 0.75))
    results.append(result(clean_twin(cell(InnerProduct(), FedAvg())), None, 0.9))
    results.append(result(cell(InnerProduct(), Fedward()), None, 0.85))
    cells = read(*results)
    assert cells.attacks == ["dba", "inner-product"]
    assert cells.floor("dba") == pytest.approx(0.05)
    assert cells.succeeds("dba")
    assert cells.succeeds("inner-product")
    # 4.303 x 0.1 / sqrt 3 is 0.248.
    assert RENDER["shown"](cells.figures["dba", "fedavg"], "aasr") == "60.0 ± 24.8"
    assert RENDER["shown"](cells.figures["inner-product", "fedavg"], "aasr") == "-"
    assert RENDER["beaten_by"](cells, "dba") == ["median"]
    zero, quarter = "5.0 ± 0.0", "25.0 ± 0.0"
    lost = f"| 30.0 ± 0.0 | {quarter} | {quarter} | {quarter} | **opened** | `median` |"
    losses = RENDER["losses"](cells)
    assert f"| `dba` | {zero} {lost}" in losses
    # One seed has no interval, so that five points are under the mark on average only.
    assert "| `inner-product` | - | - | 5.0 | - | - | holds on average | nobody |" in losses
    assert RENDER["tally"](cells) == (
        "Of 2 attacks that succeed Fedward holds 1 on average, 0 of them with the whole "
        "interval.\nNot held: `dba`."
    )


def test_an_interval_that_reaches_over_the_mark_is_not_sure() -> None:
    def held(*aasr: float) -> tuple[bool, bool]:
        made = []
        for seed, share in enumerate(aasr):
            config = cell(DBA(), Fedward(), seed)
            made += [result(clean_twin(config), 0.0, 0.9), result(config, share, 0.9)]
            made.append(result(replace(config, defense=FedAvg()), 0.9, 0.9))
        (found,) = RENDER["stand"](read(*made))
        return found.holds, found.surely

    assert held(0.08, 0.09, 0.07) == (True, False)  # 8 and 2.5 points on either side
    assert held(0.05, 0.06, 0.04) == (True, True)
    assert held(0.20, 0.21, 0.19) == (False, False)


@pytest.mark.parametrize(
    ("aasr", "ma", "better"),
    [(0.26, 0.88, []), (0.24, 0.88, ["median"]), (0.1, 0.82, []), (0.4, 0.99, [])],
)
def test_who_does_better(aasr: float, ma: float, better: list[str]) -> None:
    """More than five points of success lower, for less than five points of accuracy."""
    cells = read(
        result(clean_twin(cell(DBA(), FedAvg())), 0.02, 0.9),
        result(cell(DBA(), Fedward()), 0.3, 0.88),
        result(cell(DBA(), Median()), aasr, ma),
    )
    assert RENDER["beaten_by"](cells, "dba") == better


def test_an_attack_that_changes_little_does_not_succeed() -> None:
    def succeeds(attack: Attack, floor: float | None, aasr: float | None, ma: float) -> Any:
        config = cell(attack, FedAvg())
        cells = read(result(clean_twin(config), floor, 0.9), result(config, aasr, ma))
        (name,) = cells.attacks
        return cells.succeeds(name)

    assert not succeeds(DBA(), 0.05, 0.14, 0.5)
    assert succeeds(DBA(), 0.05, 0.16, 0.9)
    assert not succeeds(InnerProduct(), None, None, 0.85)
    assert succeeds(InnerProduct(), None, None, 0.75)


def test_attacks_are_marked_if_and_only_if_the_record_does_not_show_them() -> None:
    cells = RENDER["read_cells"](read_results([RESULTS]))
    shown = {name for name in cells.attacks if cells.succeeds(name)}
    shown = {name.split(" ")[0] for name in shown}  # explicit-boosting (malicious)
    assert set(ATTACKS) - shown == set(NOT_SHOWN)


def test_one_option_changed_at_a_time() -> None:
    made = []
    for seed in (0, 1, 2):
        plain = cell(DBA(), FedAvg(), seed)
        made += [result(clean_twin(plain), 0.05, 0.9), result(plain, 0.6, 0.9)]
        for defense, aasr in (
            (Fedward(), 0.35),
            (Fedward(eps="authors"), 0.14 + seed / 1000),
            (Fedward(amgrad="ternary"), (0.05, 0.05, 0.2)[seed]),
        ):
            made.append(result(replace(plain, defense=defense), aasr, 0.9))
        quiet = cell(None, Fedward(eps="authors"), seed)
        made.append(result(quiet, None, 0.8, aer=0.25))
    head, _, dba, held, surely, ma, brr = RENDER["between"](read(*made)).splitlines()
    assert (
        head == "| attack | `fedward` | `fedward:amgrad=ternary` | `fedward:eps=authors` |"
    )
    # 4.303 x 0.0866 / sqrt 3 is 21.5 points, and 4.303 x 0.001 / sqrt 3 is 0.2.
    assert dba == "| `dba` | 30.0 ± 0.0 | 5.0 ± 21.5 | 9.1 ± 0.2 |"
    assert held == "| **held on average** | **0** of 1 | **1** of 1 | **1** of 1 |"
    assert surely == "| held with the whole interval | 0 | 0 | 1 |"
    assert ma == "| nobody attacks: MA |  |  | 80.0 ± 0.0 |"
    assert brr == "| nobody attacks: BRR |  |  | 25.0 ± 0.0 |"


def test_the_page_is_made_of_the_results() -> None:
    places = [RESULTS, RESULTS.with_name("attacks-variants")]
    page = RENDER["page"](RENDER["read_cells"](read_results(places)))
    assert (ROOT / "docs" / "robustness.md").read_text() == page
