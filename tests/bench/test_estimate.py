from dataclasses import replace
from typing import Any

import pytest

from fedward.bench.estimate import estimate, kinds, pace
from fedward.bench.grid import make_cell
from fedward.simulation.config import RunConfig, clean_twin, to_table
from fedward.simulation.presets import FASHION, MNIST


def result(config: RunConfig, seconds: float) -> dict[str, Any]:
    return {"config": to_table(config), "rounds": config.rounds, "seconds": seconds}


CELL = make_cell(MNIST, {"defense": "median"})


def test_worked_case() -> None:
    """220 and 440 s for 110 rounds are 3 s a round on average; 10 rounds are done."""
    paces = pace([result(MNIST, 220), result(replace(MNIST, seed=1), 440)])
    found = estimate([CELL], {CELL.key: 10}, paces)
    assert found.seconds == pytest.approx(100 * 3)
    assert found.unknown == 0


def test_its_own_kind_counts_before_a_rough_one() -> None:
    paces = pace([result(MNIST, 220), result(clean_twin(MNIST), 110)])
    assert estimate([CELL], {}, paces).seconds == pytest.approx(220)
    assert estimate([CELL.clean], {}, paces).seconds == pytest.approx(110)
    longer = make_cell(replace(MNIST, rounds=10), {})
    assert estimate([longer], {}, paces).seconds == pytest.approx(10 * 1.5)


def test_what_nothing_is_known_about_is_counted() -> None:
    fashion = make_cell(FASHION, {})
    paces = pace([result(MNIST, 110)])
    found = estimate([CELL, fashion], {}, paces)
    assert found.seconds == pytest.approx(110)
    assert found.unknown == 1
    assert estimate([fashion], {fashion.key: 110}, {}).unknown == 0
    assert pace([]) == {}


def test_the_defense_and_the_share_do_not_decide_the_time() -> None:
    other = make_cell(MNIST, {"defense": "flame", "pdr": 46.875, "nir": "iid"})
    assert kinds(other.config) == kinds(CELL.config)
