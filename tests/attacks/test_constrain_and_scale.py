import torch

from fedward.attacks.alternating import AlternatingMinimisation
from fedward.attacks.constrain_and_scale import ConstrainAndScale
from fedward.attacks.dba import DBA
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import knowledge, place, plan
from tests.attacks.training import Linear, gradient_of, trained


def test_half_and_half_is_a_penalty_of_one() -> None:
    where = place()
    honest = plan(where, LocalTraining(lr=0.2, weight_decay=0.01))
    held = ConstrainAndScale(alpha=0.5).poison(honest, where, stream(1))
    free = DBA().poison(honest, where, stream(1))
    assert held.penalty == 1
    assert held.lr == tuple(lr / 2 for lr in free.lr)
    assert held.weight_decay == 0.02
    assert torch.equal(held.stamped, free.stamped)


def test_without_a_constraint_it_is_model_replacement() -> None:
    where = place()
    honest = plan(where, LocalTraining())
    held = ConstrainAndScale(alpha=1).poison(honest, where, stream(1))
    free = DBA().poison(honest, where, stream(1))
    numbers = ("penalty", "lr", "weight_decay", "momentum", "radius", "sizes")
    assert all(getattr(held, name) == getattr(free, name) for name in numbers)
    assert torch.equal(held.labels, free.labels)
    own = torch.randn(4, 6, generator=stream(2))
    sent = ConstrainAndScale().craft(own, knowledge(attackers=4, clients=10))
    torch.testing.assert_close(sent, own * 2.5)


def test_a_penalty_of_the_base_stays_in_its_loss() -> None:
    where = place()
    base = AlternatingMinimisation(rho=3)
    # alpha (CE + 3 d) + (1 - alpha) d = (CE + (3 + 1) d) / 2 for alpha = 1 / 2.
    attack = ConstrainAndScale(alpha=0.5, base=base)
    assert attack.poison(plan(where, LocalTraining()), where, stream(1)).penalty == 4


def test_steps_follow_the_gradient_of_equation_4() -> None:
    where, alpha = place(), 0.7
    training = LocalTraining(batch_size=50, lr=0.1, momentum=0, weight_decay=0.01)
    attack = ConstrainAndScale(alpha=alpha, base=DBA(pdr=0.3))
    bad = attack.poison(plan(where, training), where, stream(1))
    assert len(bad.sizes) == 3
    model, start = Linear(10), torch.randn(7850, generator=stream(3)) / 10
    local = start.clone()
    for step in range(3):
        away = local - start
        pull = away / away.norm() if step else torch.zeros_like(away)
        slope = alpha * gradient_of(model, local, where.pixels, bad, step)
        local = local - 0.1 * (slope + (1 - alpha) * pull + 0.01 * local)
    torch.testing.assert_close(trained(model, start, where.pixels, bad), local)
