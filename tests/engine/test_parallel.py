from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from fedward.engine import ENGINES, default_engine
from fedward.engine.loop import Reference
from fedward.engine.network import Network
from fedward.engine.parallel import Parallel
from fedward.engine.plan import LocalPlan
from fedward.engine.seam import ClientFailed, Engine
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from tests.engine.plans import honest, images, varied
from tests.engine.softmax import SHAPE, Softmax, train_by_hand

POOL = 60


def setting(name: str) -> tuple[Network, torch.Tensor, torch.Tensor, list[LocalPlan]]:
    shape = MODELS[name].shapes[0]
    model = make_model(name, shape, 10, seed=3)
    params = Layout.of(model).flatten(model)
    return model, params, images(POOL, shape), varied(shape, 17, POOL)


def test_engines_satisfy_the_seam() -> None:
    assert set(ENGINES) == {"reference", "parallel"}
    assert all(isinstance(engine(), Engine) for engine in ENGINES.values())
    assert isinstance(default_engine("cpu"), Parallel)
    assert isinstance(default_engine("cuda:0"), Reference)


def test_equals_softmax_regression_written_by_hand() -> None:
    """In double precision, so that only the algorithm can differ."""
    model = Softmax()
    params = Layout.of(model).flatten(model)
    pixels, plans = images(POOL, SHAPE), varied(SHAPE, 21, POOL)
    rows = Parallel(workers=2)(model, params, pixels, plans).rows
    for row, plan in zip(rows, plans, strict=True):
        expected = train_by_hand(params, pixels, plan)
        torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["mnistnet", "cifarnet"])
def test_local_models_equal_the_reference(name: str) -> None:
    """To 1e-5 of the model's norm.

    The update itself is known less well: it is a small difference of float32 numbers, and
    where two values under a pooling window are equal up to rounding, rounding decides which
    of them is trained. The reference's own updates are as far from those in float64.
    """
    model, params, pixels, plans = setting(name)
    expected = Reference()(model, params, pixels, plans).rows
    rows = Parallel(workers=2)(model, params, pixels, plans).rows
    for row, truth in zip(rows, expected, strict=True):
        assert (row - truth).norm() <= 1e-5 * (params + truth).norm()
        assert (row - truth).norm() <= 5e-3 * truth.norm()


@pytest.mark.parametrize("name", ["mnistnet", "cifarnet"])
def test_a_row_is_the_same_bits_whatever_is_trained_beside_it(name: str) -> None:
    model, params, pixels, plans = setting(name)
    plans = plans[:5]
    rows = Parallel(workers=2)(model, params, pixels, plans).rows
    assert torch.equal(Parallel(workers=1)(model, params, pixels, plans).rows, rows)
    backwards = Parallel(workers=3)(model, params, pixels, plans[::-1]).rows
    assert torch.equal(backwards.flip(0), rows)
    assert torch.equal(Parallel()(model, params, pixels, plans[3:4]).rows[0], rows[3])


def test_arguments_are_not_modified_and_the_workspace_does_not_matter() -> None:
    model, params, pixels, plans = setting("mnistnet")
    before = params.clone(), pixels.clone()
    rows = Parallel()(model, params, pixels, plans[:2]).rows
    assert torch.equal(params, before[0])
    assert torch.equal(pixels, before[1])
    other = make_model("mnistnet", (1, 28, 28), 10, seed=4)
    assert torch.equal(Parallel()(other, params, pixels, plans[:2]).rows, rows)


def test_no_steps_give_a_row_of_zeros_and_no_plans_give_no_rows() -> None:
    model, params, pixels, _ = setting("mnistnet")
    assert not Parallel()(model, params, pixels, [honest(6, 0, POOL, 4)]).rows.any()
    assert Parallel()(model, params, pixels, []).rows.shape == (0, len(params))


def test_divergence_stays_in_its_own_row() -> None:
    model, params, pixels, plans = setting("mnistnet")
    wild = replace(plans[0], lr=(1e30,) * len(plans[0].lr))
    rows = Parallel(workers=1)(model, params, pixels, [wild, plans[1]]).rows
    assert not rows[0].isfinite().all()
    assert torch.equal(rows[1], Parallel()(model, params, pixels, plans[1:2]).rows[0])


@pytest.mark.parametrize("engine", [Reference(), Parallel(workers=2)])
def test_who_raises_is_named_and_everybody_else_is_as_without_them(engine: Engine) -> None:
    model, params, pixels, plans = setting("mnistnet")
    broken = [replace(plans[0], client=c, indices=plans[0].indices.clone()) for c in (5, 9)]
    broken[0].indices[-1] = POOL
    broken[1].indices[0] = POOL
    trained = engine(model, params, pixels, [plans[1], *broken, plans[2]])
    assert {p: (f.client, f.step) for p, f in trained.failures.items()} == {
        1: (5, 5),
        2: (9, 0),
    }
    assert not trained.rows[1:3].any()
    with pytest.raises(ClientFailed, match="client 5 failed at step 5: index 60"):
        trained.complete()
    alone = engine(model, params, pixels, plans[1:3])
    assert torch.equal(trained.rows[[0, 3]], alone.complete())


def test_images_elsewhere_are_refused() -> None:
    model, params, pixels, plans = setting("mnistnet")
    with pytest.raises(ValueError, match="needs images on the CPU, got meta"):
        Parallel()(model, params, pixels.to("meta"), plans)


def test_workers_are_at_least_one() -> None:
    with pytest.raises(ValidationError):
        Parallel(workers=0)
