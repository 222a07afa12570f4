from dataclasses import replace

import pytest

from fedward.defenses import FedAvg
from fedward.simulation.config import Attackers, clean_twin
from fedward.simulation.metrics import (
    attack_escape_rate,
    benign_rejection_rate,
    floor,
    mean,
    summary,
)
from tests.simulation.small import SMALL, record

BAD_TWO = [True, True, False, False, False]


def test_escape_and_rejection_worked_case() -> None:
    """Admitted attackers: 1 of 2 and 0 of 2. Rejected honest: 1 of 3 and 2 of 3."""
    rounds = [
        record(0, BAD_TWO, [True, False, True, True, False]),
        record(1, BAD_TWO, [False, False, True, False, False]),
    ]
    assert attack_escape_rate(rounds) == 1 / 4
    assert benign_rejection_rate(rounds) == 3 / 6


def test_rates_of_nothing_are_undefined() -> None:
    quiet = [record(0, [False, False], [True, True])]
    assert attack_escape_rate(quiet) is None
    assert benign_rejection_rate([]) is None
    assert mean([]) is None


def test_rounds_weigh_by_their_clients_not_equally() -> None:
    rounds = [
        record(0, [True], [True]),
        record(1, [True, True, True], [False, False, False]),
    ]
    assert attack_escape_rate(rounds) == 1 / 4


def test_rare_clients_are_counted_alone() -> None:
    rounds = [record(0, [False] * 4, [True, True, False, True], [0.1, 0.2, 0.9, 0.9])]
    assert benign_rejection_rate(rounds, rarer_than=0.9) == 1 / 2


def test_summary_worked_case() -> None:
    """Attack from round 2; rounds 0 and 1 are not defended."""
    records = [
        record(0, [False], [True], ma=0.1, asr={"whole": 0.9}, defended=False),
        record(1, [False], [True], ma=0.2, asr={"whole": 0.8}, defended=False),
        record(2, [True, False], [True, True], ma=0.3, asr={"whole": 0.2}),
        record(3, [True, False], [False, True], ma=None, asr={}),
        record(
            4,
            [False, False],
            [True, False],
            ma=0.6,
            asr={"whole": 0.4, "part 0": 0.1},
            held="why",
        ),
    ]
    figures = summary(SMALL, records, [0.0, 0.0, 1.0, 1.0], selects=True)
    assert figures["ma_final"] == 0.6
    assert figures["ma_last10"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.6) / 4)
    assert figures["asr_final"] == 0.4
    assert figures["aasr"] == pytest.approx((0.2 + 0.4) / 2)
    assert figures["aasr_from_10"] is None
    assert figures["aasr_parts"] == {"part 0": 0.1}
    assert figures["aer"] == 1 / 2
    assert figures["brr"] == 1 / 4
    assert figures["brr_attacked"] == 0.0
    assert figures["brr_unattacked"] == 1 / 2
    assert figures["brr_rare"] is None
    assert figures["held"] == pytest.approx(1 / 3)


def test_methods_that_do_not_select_have_no_rates() -> None:
    records = [record(2, BAD_TWO, [True] * 5)]
    figures = summary(replace(SMALL, defense=FedAvg()), records, [0.0], selects=False)
    assert figures["aer"] is None
    assert figures["brr"] is None


def test_the_window_ends_where_the_attack_stops() -> None:
    config = replace(SMALL, attackers=Attackers(count=2, start=1, stop=3))
    asr = [0.9, 0.1, 0.3, 0.8]
    records = [record(i, [False], [True], asr={"whole": a}) for i, a in enumerate(asr)]
    assert summary(config, records, [], True)["aasr"] == pytest.approx(0.2)


def test_a_clean_run_is_averaged_from_the_start_of_its_twins_attack() -> None:
    asr = [0.9, 0.9, 0.02, 0.04]
    records = [record(i, [False], [True], asr={"whole": a}) for i, a in enumerate(asr)]
    assert summary(clean_twin(SMALL), records, [], False)["aasr"] == pytest.approx(0.03)


def test_the_headline_is_the_first_probe_whatever_its_name() -> None:
    records = [record(2, [True], [True], asr={"edge case": 0.7, "other": 0.1})]
    figures = summary(SMALL, records, [0.0], True)
    assert (figures["aasr"], figures["aasr_parts"]) == (0.7, {"other": 0.1})


def test_the_floor_is_over_the_same_rounds_or_none() -> None:
    twin = {"aasr": 0.02}
    whole = replace(SMALL, attackers=Attackers(count=2, start=1))
    for stop in (None, SMALL.rounds, SMALL.rounds + 1):
        run = replace(whole, attackers=replace(whole.attackers, stop=stop))
        assert floor(run, twin) == 0.02
    stopped = replace(whole, attackers=replace(whole.attackers, stop=SMALL.rounds - 1))
    assert floor(stopped, twin) is None
    assert floor(clean_twin(stopped), twin) == 0.02
    assert floor(whole, None) is None
    assert floor(whole, {"aasr": None}) is None
