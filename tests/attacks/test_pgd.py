import pytest
import torch

from fedward.attacks.dba import DBA
from fedward.attacks.pgd import PGD
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import place, plan
from tests.attacks.training import Linear, gradient_of, trained


@pytest.mark.parametrize("radius", [0.05, 0.5])
def test_the_update_stays_in_the_ball_that_free_training_leaves(radius: float) -> None:
    where, training = place(), DBA().training(LocalTraining())
    model, start = Linear(10), torch.zeros(7850)
    honest = plan(where, training)
    bad = PGD(radius=radius, project_every=4).poison(honest, where, stream(1))
    free = DBA().poison(honest, where, stream(1))
    assert trained(model, start, where.pixels, free).norm() > 2 * radius
    assert trained(model, start, where.pixels, bad).norm() == pytest.approx(radius)


def test_projection_comes_after_every_second_step_and_the_last() -> None:
    where = place()
    training = LocalTraining(batch_size=50, lr=0.5, momentum=0, weight_decay=0)
    attack = PGD(radius=0.1, project_every=2)
    bad = attack.poison(plan(where, training), where, stream(1))
    model, local = Linear(10), torch.zeros(7850)
    assert len(bad.sizes) == 3
    for step in range(3):
        local = local - 0.5 * gradient_of(model, local, where.pixels, bad, step)
        if step in (1, 2):
            assert local.norm() > 0.1
            local = local * 0.1 / local.norm()
    torch.testing.assert_close(trained(model, torch.zeros(7850), where.pixels, bad), local)


def test_the_smaller_ball_holds() -> None:
    where = place()
    honest = plan(where, LocalTraining())
    for inner, outer, every in ((1.0, 2.0, 3), (2.0, 1.0, 7)):
        base = PGD(radius=inner, project_every=3)
        attack = PGD(radius=outer, project_every=7, base=base)
        held = attack.poison(honest, where, stream(1))
        assert (held.radius, held.project_every) == (1, every)
