from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from fedward.engine.loop import Reference
from fedward.engine.network import Network
from fedward.engine.parallel import Parallel
from fedward.engine.plan import LocalPlan
from fedward.layout import Layout
from fedward.models import MODELS, make_model
from tests.engine.plans import images, varied

POOL = 60


def setting(name: str) -> tuple[Network, torch.Tensor, torch.Tensor, list[LocalPlan]]:
    shape = MODELS[name].shapes[0]
    model = make_model(name, shape, 10, seed=3)
    params = Layout.of(model).flatten(model)
    return model, params, images(POOL, shape), varied(shape, 17, POOL)


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


def test_divergence_stays_in_its_own_row() -> None:
    model, params, pixels, plans = setting("mnistnet")
    wild = replace(plans[0], lr=(1e30,) * len(plans[0].lr))
    rows = Parallel(workers=1)(model, params, pixels, [wild, plans[1]]).rows
    assert not rows[0].isfinite().all()
    assert torch.equal(rows[1], Parallel()(model, params, pixels, plans[1:2]).rows[0])


def test_images_elsewhere_are_refused() -> None:
    model, params, pixels, plans = setting("mnistnet")
    with pytest.raises(ValueError, match="needs images on the CPU, got meta"):
        Parallel()(model, params, pixels.to("meta"), plans)


def test_workers_are_at_least_one() -> None:
    with pytest.raises(ValidationError):
        Parallel(workers=0)
