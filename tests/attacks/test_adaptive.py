from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings, strategies as st

from fedward.attacks.adaptive import Adaptive, best_strength, rehearsal, stand_ins
from fedward.attacks.base import Attack
from fedward.defenses import Fedward
from fedward.protocol import Aggregation, Round, Verdict
from fedward.seeds import stream
from tests.attacks.making import knowledge, small_round

ACCEPTED = Verdict(accepted=True, reason="short")
REJECTED = Verdict(accepted=False, reason="long")


@dataclass(frozen=True)
class Short:
    """Means the rows within a ball and rejects the others."""

    radius: float
    selects = True
    needs = 1

    def __call__(self, round: Round) -> Aggregation:
        kept = round.updates.norm(dim=1) <= self.radius
        total = round.updates[kept].sum(0) / max(1, int(kept.sum()))
        return Aggregation(total, tuple(ACCEPTED if k else REJECTED for k in kept))


class Fickle:
    """Means the rows, but each rehearsal that it comes to know with another factor."""

    selects = False
    needs = 1

    def __init__(self) -> None:
        self.known: list[list[list[float]]] = []

    def __call__(self, round: Round) -> Aggregation:
        honest = round.updates[2:].tolist()
        if honest not in self.known:
            self.known.append(honest)
        factor = (2, -1, -3)[self.known.index(honest)]
        return Aggregation(factor * round.updates.mean(0), (ACCEPTED,) * len(round.updates))


@pytest.mark.parametrize("peak", [0.0, 0.3, 1.1, 2.5])
def test_the_search_finds_where_the_gain_breaks_off(peak: float) -> None:
    found = best_strength(lambda t: t if t <= peak else -1.0, 2.5, 6)
    assert peak - 2.5 / 36 - 1e-9 <= found <= peak


def test_of_equal_gains_the_weakest_and_never_outside() -> None:
    assert best_strength(lambda t: 1.0, 2.5, 6) == 0
    tried: list[float] = []

    def gain(t: float) -> float:
        tried.append(t)
        return t

    assert best_strength(gain, 2.5, 6) == 2.5
    assert min(tried) == 0
    assert max(tried) == 2.5


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 5), st.integers(1, 9), st.floats(0, 6))
def test_the_search_is_as_good_as_its_grid(limit: float, steps: int, peak: float) -> None:
    def gain(t: float) -> float:
        return -((t - peak) ** 2)

    found = best_strength(gain, limit, steps)
    fine = [limit * k / steps**2 for k in range(steps**2 + 1)]
    assert gain(found) >= max(map(gain, fine)) - 1e-9


def test_poison_grows_until_the_rule_would_reject_it() -> None:
    # Clean updates are zero in the poisoned coordinate and alike in the others.
    clean = torch.tensor([[0.0, 1, 0, 0, 0, 0], [0.0, 1.1, 0, 0, 0, 0]])
    own = clean + torch.tensor([4.0, 0, 0, 0, 0, 0])
    known = knowledge(clean=clean, defense=Short(3.0))
    sent = Adaptive(strongest=2, steps=10).craft(own, known)
    # ||(4 t, 1.1)|| <= 3 where t <= 0.698; the search goes by 0.02.
    t = float(sent[0, 0] / 4)
    assert 0.698 - 0.02 < t <= 0.698
    torch.testing.assert_close(sent, clean + t * (own - clean))


def test_against_the_mean_it_goes_as_far_as_it_may() -> None:
    clean = torch.randn(4, 6, generator=stream(1))
    own = clean + torch.randn(6, generator=stream(2))
    known = knowledge(attackers=4, clean=clean)
    torch.testing.assert_close(Adaptive().craft(own, known), clean + 2.5 * (own - clean))
    scaled = Adaptive(path="scaling", strongest=3).craft(own, known)
    torch.testing.assert_close(scaled, 3 * own)


def test_the_direction_is_from_the_clean_to_the_poisoned_update() -> None:
    # The poisoned updates are shorter than the clean ones: towards them is backwards.
    clean = torch.tensor([2.0, 0, 0, 0, 0, 0]).repeat(2, 1)
    sent = Adaptive(strongest=2).craft(clean / 2, knowledge(clean=clean))
    torch.testing.assert_close(sent, clean * 0)


def test_the_direction_is_that_of_the_means() -> None:
    """Backwards between the first clean and the first poisoned row, forwards on average."""
    own, clean = torch.zeros(2, 2, 6)
    own[:, 0] = torch.tensor([-1.0, 5.0])
    clean[:, 0] = torch.tensor([3.0, -1.0])
    sent = Adaptive(base=Attack(), strongest=1).craft(own, knowledge(clean=clean))
    torch.testing.assert_close(sent, own)


@pytest.mark.parametrize(("rehearsals", "strength"), [(1, 1.0), (2, 1.0), (3, 0.0)])
def test_the_gains_of_all_rehearsals_are_summed(rehearsals: int, strength: float) -> None:
    """One, two and three of them make 2, 1 and -2 times the movement."""
    clean = torch.randn(2, 6, generator=stream(1))
    own = clean + torch.tensor([100.0, 0, 0, 0, 0, 0])
    rule = Fickle()
    attack = Adaptive(base=Attack(), strongest=1, rehearsals=rehearsals)
    sent = attack.craft(own, knowledge(clean=clean, defense=rule))
    torch.testing.assert_close(sent, clean + strength * (own - clean))
    assert len(rule.known) == rehearsals


def test_the_rehearsed_round_is_the_coming_one() -> None:
    clean = torch.randn(2, 6, generator=stream(1))
    known = knowledge(
        clean=clean,
        params=torch.arange(6.0),
        index=7,
        memory={"history": torch.ones(3)},
        identities=torch.tensor([4, 9]),
    )
    round = rehearsal(known, clean)(clean)
    assert torch.equal(round.params, known.params)
    assert (round.layout, round.index) == (known.layout, 7)
    assert torch.equal(round.memory["history"], torch.ones(3))
    assert round.clients.tolist() == [4, 9, -1, -2, -3, -4, -5, -6, -7, -8]


def test_where_nothing_passes_it_sends_what_is_honest() -> None:
    clean = torch.randn(2, 6, generator=stream(1))
    known = knowledge(clean=clean, defense=Short(0.0))
    assert torch.equal(Adaptive().craft(clean + 5, known), clean)


def test_stand_ins_have_the_mean_and_spread_of_clean_updates() -> None:
    clean = torch.randn(3, 5, generator=stream(1), dtype=torch.float64)
    # One stand-in for each of many copies of the columns, which are drawn independently.
    rows = stand_ins(clean.repeat(1, 20000), 1, stream(2)).view(20000, 5)
    deviation = clean.std(0)
    torch.testing.assert_close(rows.mean(0), clean.mean(0), rtol=0, atol=0.05)
    # Their own spread, and that of the mean of three.
    torch.testing.assert_close(
        rows.std(0), deviation * (1 + 1 / 3) ** 0.5, rtol=0.05, atol=0
    )


def test_one_clean_update_deviates_by_itself() -> None:
    rows = stand_ins(torch.tensor([[1.0, -2.0]]), 500, stream(2))
    # The mean, a shared +-1 and an own +-1 times the update.
    assert set((rows[:, 0] / 1.0).tolist()) <= {-1.0, 1.0, 3.0}
    assert len(set(rows[:, 0].tolist())) == 2
    assert set((rows[:, 1] / -2.0).tolist()) <= {-1.0, 1.0, 3.0}


def test_stand_ins_are_as_far_apart_as_clean_updates() -> None:
    count, params = 4, 4000
    base = torch.randn(params, generator=stream(1))
    clean = base + torch.randn(count, params, generator=stream(2))
    known = knowledge(attackers=count, clean=clean, clients=30, params=torch.zeros(params))
    round = rehearsal(known, clean)(clean)
    assert torch.equal(round.updates[:count], clean)
    gaps = torch.cdist(round.updates.double(), round.updates.double()) ** 2 / params
    among = gaps[count:, count:][~torch.eye(26, dtype=torch.bool)].mean()
    # Two unit normals differ by 2 in the square.
    assert among == pytest.approx(2, abs=0.1)
    assert gaps[:count, count:].mean() == pytest.approx(2, abs=0.1)


def test_a_rehearsal_looks_like_the_round_to_come() -> None:
    clean = torch.randn(2, 6, generator=stream(1))
    memory = {"scores": torch.ones(3)}
    known = knowledge(
        clean=clean, clients=5, identities=torch.tensor([7, 3]), index=9, memory=memory
    )
    make = rehearsal(known, clean)
    one, two = make(clean), make(clean * 2)
    assert one.clients.tolist() == [7, 3, -1, -2, -3]
    assert (one.index, one.memory) == (9, memory)
    assert torch.equal(one.updates[2:], two.updates[2:])
    assert one.generator.initial_seed() == two.generator.initial_seed()


def test_the_same_round_gives_the_same_bits() -> None:
    clean = torch.randn(2, 6, generator=stream(1))
    runs = [
        Adaptive().craft(clean + 1, knowledge(clean=clean, defense=Short(2.0)))
        for _ in range(2)
    ]
    assert torch.equal(*runs)


def test_fedward_accepts_what_it_would_reject_at_full_strength() -> None:
    honest = torch.randn(350, generator=stream(7)) + torch.randn(
        10, 350, generator=stream(8)
    )
    poisoned = honest[:4] + 3 * torch.randn(350, generator=stream(9))
    known = knowledge(
        attackers=4, clean=honest[:4], params=torch.zeros(350), defense=Fedward()
    )
    sent = Adaptive(base=Attack()).craft(poisoned, known)

    def admitted(rows: torch.Tensor) -> int:
        decided = Fedward()(small_round(torch.cat([rows, honest[4:]]), known.layout))
        return int(decided.accepted[:4].sum())

    assert admitted(poisoned) == 0
    assert admitted(sent) > 0
    strength = ((sent - honest[:4]) / (poisoned - honest[:4])).median()
    assert 0.05 < strength < 1
