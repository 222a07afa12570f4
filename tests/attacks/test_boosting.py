import torch

from fedward.attacks.boosting import ExplicitBoosting
from fedward.attacks.dba import DBA
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import knowledge, place, plan


def test_the_malicious_objective_keeps_the_poisoned_images_alone() -> None:
    where, base = place(), DBA(pdr=0.5)
    honest = plan(where, LocalTraining(batch_size=40, lr=1.0, milestones=(1,), epochs=2))
    whole = base.poison(honest, where, stream(1))
    bad = ExplicitBoosting(base=base, objective="malicious").poison(
        honest, where, stream(1)
    )
    assert bad.sizes == (20, 20, 20, 15) * 2
    assert bad.lr == whole.lr
    assert bad.stamped.all()
    assert (bad.labels == 2).all()
    assert torch.equal(bad.indices, whole.indices[whole.stamped])


def test_batches_without_poison_lose_their_step() -> None:
    where, base = place(), DBA(pdr=0.04)
    honest = plan(where, LocalTraining(batch_size=40))
    attack = ExplicitBoosting(base=base, objective="malicious")
    # 4 % of 40, 40, 40 and 30 are 1, 1, 1 and 1; of an empty share nothing is left.
    assert attack.poison(honest, where, stream(1)).sizes == (1, 1, 1, 1)
    nothing = ExplicitBoosting(base=DBA(pdr=0), objective="malicious")
    flipless = nothing.poison(honest, where, stream(1))
    assert (flipless.sizes, flipless.lr, len(flipless.indices)) == ((), (), 0)


def test_converge_train_keeps_the_plan_and_boosts_by_the_share_of_the_mean() -> None:
    where = place()
    honest = plan(where, LocalTraining())
    bad = ExplicitBoosting().poison(honest, where, stream(1))
    assert torch.equal(bad.labels, DBA().poison(honest, where, stream(1)).labels)
    own = torch.randn(2, 6, generator=stream(2))
    sent = ExplicitBoosting().craft(own, knowledge(attackers=2, clients=10))
    torch.testing.assert_close(sent, 5 * own)
