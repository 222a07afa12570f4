import pytest
import torch

from fedward.attacks.alternating import AlternatingMinimisation
from fedward.attacks.constrain_and_scale import ConstrainAndScale
from fedward.attacks.dba import DBA
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import place, plan
from tests.attacks.training import Linear, gradient_of, trained


def test_boosted_poison_then_honest_steps() -> None:
    where, base = place(), DBA(pdr=0.25)
    honest = plan(where, LocalTraining(batch_size=40, lr=1.0, milestones=(1,), epochs=2))
    attack = AlternatingMinimisation(base=base, boost=5, honest_steps=3)
    bad = attack.poison(honest, where, stream(1))
    # Batches of 40, 40, 40, 30, 40, 40, 40, 30 with 10, 10, 10, 7, ... poisoned.
    assert bad.sizes == (30, 30, 30, 30, 27, 23, 30, 30, 17, 30, 23)
    assert bad.lr == (5, 1, 1, 1, 5, 1, 0.1, 0.1, 0.5, 0.1, 0.1)
    runs = torch.split(bad.stamped, list(bad.sizes))
    for step, run in enumerate(runs):
        assert run.all() if step in (0, 4, 8) else not run.any()
    assert (bad.momentum, bad.penalty) == (0, 1e-4)
    whole = base.poison(honest, where, stream(1))
    assert torch.equal(bad.indices.sort().values, whole.indices.sort().values)
    assert (bad.labels[bad.stamped] == 2).all()
    assert torch.equal(bad.labels[~bad.stamped], where.labels[bad.indices[~bad.stamped]])


def test_the_distance_counts_beside_that_of_the_base() -> None:
    where = place()
    base = ConstrainAndScale(alpha=0.8)  # (1 - 0.8) / 0.8
    attack = AlternatingMinimisation(base=base, rho=0.5)
    bad = attack.poison(plan(where, LocalTraining(lr=1.0)), where, stream(1))
    assert bad.penalty == pytest.approx(0.75)


def test_a_window_without_poison_has_no_boosted_step() -> None:
    where = place()
    honest = plan(where, LocalTraining(batch_size=40, lr=1.0))
    bad = AlternatingMinimisation(base=DBA(pdr=0)).poison(honest, where, stream(1))
    assert (bad.sizes, bad.lr) == (honest.sizes, honest.lr)
    assert torch.equal(bad.indices, honest.indices)


def test_a_boosted_step_is_the_malicious_step_multiplied() -> None:
    where = place()
    training = LocalTraining(batch_size=150, lr=0.1, weight_decay=0)
    attack = AlternatingMinimisation(boost=7, rho=0, base=DBA())
    bad = attack.poison(plan(where, training), where, stream(1))
    model, start = Linear(10), torch.randn(7850, generator=stream(3)) / 10
    pushed = start - 7 * 0.1 * gradient_of(model, start, where.pixels, bad, 0)
    wanted = pushed - 0.1 * gradient_of(model, pushed, where.pixels, bad, 1)
    torch.testing.assert_close(trained(model, start, where.pixels, bad), wanted)
