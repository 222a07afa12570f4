from statistics import NormalDist

import pytest
import torch

from fedward.attacks.dba import DBA
from fedward.attacks.little import LittleBackdoor, LittleIsEnough, deviations
from fedward.seeds import stream
from tests.attacks.making import knowledge


@pytest.mark.parametrize(
    ("clients", "attackers", "share"),
    # The paper's 50 workers of which 24 collude: s = 26 - 24 = 2, so 24 / 26.
    [(50, 24, 24 / 26), (10, 4, 4 / 6), (11, 5, 5 / 6), (51, 12, 25 / 39)],
)
def test_z_is_the_quantile_of_the_formula(
    clients: int, attackers: int, share: float
) -> None:
    wanted = NormalDist().inv_cdf(share)
    assert deviations(clients, attackers) == pytest.approx(wanted)


def test_where_no_deviation_passes_z_is_zero_and_a_majority_needs_one_further_out() -> None:
    assert deviations(10, 1) == 0
    assert deviations(10, 7) == pytest.approx(NormalDist().inv_cdf(2 / 3))
    assert deviations(3, 3) == 0


def test_all_attackers_send_the_mean_minus_z_deviations() -> None:
    clean = torch.tensor([[1.0, 0, 5, 0, 0, 0], [3.0, 0, 5, 4, 0, 0]])
    sent = LittleIsEnough(z=0.5).craft(torch.ones(2, 6), knowledge(clean=clean))
    half = 0.5 * 2**0.5
    wanted = torch.tensor([2 - half, 0, 5, 2 - 2 * half, 0, 0])
    torch.testing.assert_close(sent, wanted.expand(2, 6))
    sent[0] = 9
    assert sent[1, 0] != 9


def test_without_z_the_round_gives_it() -> None:
    clean = torch.randn(4, 6, generator=stream(1))
    known = knowledge(attackers=4, clients=10, clean=clean)
    sent = LittleIsEnough().craft(torch.ones(4, 6), known)
    z = NormalDist().inv_cdf(2 / 3)
    torch.testing.assert_close(sent[0], clean.mean(0) - z * clean.std(0))


def test_without_z_the_round_gives_the_backdoors_interval_too() -> None:
    clean = torch.randn(4, 6, generator=stream(1))
    known = knowledge(attackers=4, clients=10, clean=clean)
    # Far above everything in three coordinates, and far below in the others.
    far = torch.tensor([9.0, 9, 9, -9, -9, -9])
    sent = LittleBackdoor().craft(far.repeat(4, 1), known)
    z = NormalDist().inv_cdf(2 / 3)
    wanted = clean.mean(0) + z * far.sign() * clean.std(0)
    torch.testing.assert_close(sent, wanted.expand(4, 6))


def test_the_backdoor_stays_within_z_deviations_and_is_whole_inside() -> None:
    clean, own = torch.randn(2, 4, 6, generator=stream(2))
    known = knowledge(attackers=4, clean=clean)
    sent = LittleBackdoor(z=1, base=DBA(scale=2)).craft(own, known)
    off = (sent - clean.mean(0)) / clean.std(0)
    assert (off.abs() <= 1 + 1e-5).all()
    inside = ((2 * own - clean.mean(0)) / clean.std(0)).abs() < 1
    assert torch.equal(sent[inside], (2 * own)[inside])
    assert 0 < inside.sum() < inside.numel()
    assert (off[~inside].abs() > 1 - 1e-5).all()
