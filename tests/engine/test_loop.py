from dataclasses import replace

import pytest
import torch

from fedward.engine.loop import Reference, distance, project
from fedward.engine.seam import ClientFailed, Engine
from fedward.layout import Layout
from tests.engine.plans import honest, images, varied
from tests.engine.softmax import SHAPE, Softmax, train_by_hand

POOL = 60
PIXELS = images(POOL, SHAPE)
PLANS = varied(SHAPE, 21, POOL)


def start(model: Softmax) -> torch.Tensor:
    return Layout.of(model).flatten(model)


def test_satisfies_the_seam() -> None:
    assert isinstance(Reference(), Engine)


def test_equals_softmax_regression_written_by_hand() -> None:
    model = Softmax()
    params = start(model)
    rows = Reference()(model, params, PIXELS, PLANS).rows
    for row, plan in zip(rows, PLANS, strict=True):
        expected = train_by_hand(params, PIXELS, plan)
        torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-12)


def test_every_setting_of_a_plan_changes_the_result() -> None:
    """The worked cases above would miss an option that neither side honours."""
    model = Softmax()
    params = start(model)
    plan = PLANS[4]
    changes = [
        replace(plan, penalty=0.0),
        replace(plan, radius=1.0),
        replace(plan, project_every=1, radius=0.01),
        replace(plan, stamped=~plan.stamped),
        replace(plan, labels=(plan.labels + 1) % 4),
        replace(plan, lr=plan.lr[::-1]),
        replace(plan, momentum=0.5),
        replace(plan, weight_decay=0.1),
        replace(plan, dropout_seed=plan.dropout_seed + 1),
    ]
    rows = Reference()(model, params, PIXELS, [plan, *changes]).rows
    assert all(not torch.allclose(row, rows[0], rtol=1e-3) for row in rows[1:])


def test_neither_params_nor_pixels_are_modified_and_the_workspace_does_not_matter() -> None:
    model, other = Softmax(), Softmax()
    params, pixels = start(model), PIXELS.clone()
    before = params.clone()
    rows = Reference()(model, params, pixels, PLANS).rows
    assert torch.equal(params, before)
    assert torch.equal(pixels, PIXELS)
    assert torch.equal(Reference()(other, params, pixels, PLANS).rows, rows)


def test_a_row_depends_on_its_own_plan_alone() -> None:
    model = Softmax()
    params = start(model)
    rows = Reference()(model, params, PIXELS, PLANS).rows
    backwards = Reference()(model, params, PIXELS, PLANS[::-1]).rows
    assert torch.equal(backwards.flip(0), rows)
    assert torch.equal(Reference()(model, params, PIXELS, PLANS[2:3]).rows[0], rows[2])


def test_no_steps_give_a_row_of_zeros_and_no_plans_give_no_rows() -> None:
    model = Softmax()
    params = start(model)
    assert not Reference()(model, params, PIXELS, [honest(6, 0, POOL, 4)]).rows.any()
    assert Reference()(model, params, PIXELS, []).rows.shape == (0, len(params))


def test_divergence_is_a_row_that_is_not_finite() -> None:
    model = Softmax()
    wild = replace(PLANS[0], lr=(1e308,) * len(PLANS[0].lr))
    rows = Reference()(model, start(model), PIXELS, [wild, PLANS[0]]).rows
    assert not rows[0].isfinite().all()
    assert rows[1].isfinite().all()


def test_a_client_that_raises_is_named() -> None:
    model = Softmax()
    broken = replace(PLANS[0], client=17, indices=PLANS[0].indices.clone())
    broken.indices[25] = POOL
    trained = Reference()(model, start(model), PIXELS, [PLANS[1], broken])
    failure = trained.failures[1]
    assert isinstance(failure, ClientFailed)
    assert str(failure).startswith("client 17 failed at step 3: index 60 is out")
    assert (failure.client, failure.step) == (17, 3)
    assert isinstance(failure.error, IndexError)


def test_distance_is_over_all_layers_together() -> None:
    weights = [torch.tensor([[3.0]], requires_grad=True), torch.tensor([5.0])]
    far = distance(weights, [torch.zeros(1, 1), torch.ones(1)])
    assert far.item() == 5.0
    here = distance(weights, [weights[0].detach(), weights[1]])
    (gradient,) = torch.autograd.grad(here, weights[0])
    assert (here.item(), gradient.item()) == (0.0, 0.0)


@pytest.mark.parametrize(("radius", "expected"), [(2.5, [1.5, 3.0]), (5.0, [3.0, 5.0])])
def test_projection_keeps_the_direction(radius: float, expected: list[float]) -> None:
    weights = [torch.tensor([3.0]), torch.tensor([5.0])]
    project(weights, [torch.zeros(1), torch.ones(1)], radius)
    assert [weight.item() for weight in weights] == expected
