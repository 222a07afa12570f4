"""What the seam promises, held against every engine in the register.

The model is small enough to be trained by hand, in double precision, so that only the
algorithm can differ.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st

from fedward.engine import ENGINES, Engine, Parallel, Stacked, default_engine
from fedward.engine.plan import LocalPlan, Trigger
from fedward.engine.seam import ClientFailed, Trained
from fedward.layout import Layout
from fedward.seeds import stream
from tests.engine.plans import corner, honest, images, varied
from tests.engine.softmax import CLASSES, SHAPE, Softmax, train_by_hand

POOL = 60
PIXELS = images(POOL, SHAPE)
PLANS = varied(SHAPE, 21, POOL)
MODEL = Softmax()
PARAMS = Layout.of(MODEL).flatten(MODEL)

# A wrong index on a GPU ends the process, and only `stacked` looks for it beforehand.
CUDA = pytest.param(
    ("stacked", "cuda"),
    id="stacked-cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    ],
)
every_engine = pytest.mark.parametrize(
    "where", [*(pytest.param((name, "cpu"), id=name) for name in ENGINES), CUDA]
)

Where = tuple[str, str]


def train(where: Where, plans: Sequence[LocalPlan]) -> Trained:
    """What the engine of this name makes of the plans on this device, as it comes."""
    name, device = where
    model = Softmax().to(device)
    trained = ENGINES[name]()(model, PARAMS.to(device), PIXELS.to(device), plans)
    return Trained(trained.rows.cpu(), trained.failures)


def rows(where: Where, plans: Sequence[LocalPlan]) -> torch.Tensor:
    return train(where, plans).complete()


def test_engines_by_name_and_by_device() -> None:
    assert set(ENGINES) == {"reference", "parallel", "stacked"}
    assert all(isinstance(engine(), Engine) for engine in ENGINES.values())
    assert isinstance(default_engine("cpu"), Parallel)
    assert isinstance(default_engine("cuda:0"), Stacked)


@every_engine
def test_equals_softmax_regression_written_by_hand(where: Where) -> None:
    for row, plan in zip(rows(where, PLANS), PLANS, strict=True):
        expected = train_by_hand(PARAMS, PIXELS, plan)
        torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-12)


SPECS = st.fixed_dictionaries(
    {
        "steps": st.lists(st.tuples(st.integers(1, 9), st.floats(1e-3, 0.5)), max_size=5),
        "seed": st.integers(0, 2**62),
        "triggered": st.booleans(),
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "weight_decay": st.sampled_from([0.0, 5e-4, 0.1]),
        "penalty": st.sampled_from([0.0, 0.0, 0.3, 2.0]),
        "radius": st.sampled_from([math.inf, math.inf, 0.02, 0.1]),
        "project_every": st.integers(1, 4),
    }
)
"""Sizes and rates of every step, attack and regularisation; now and then nobody."""


def made(
    steps: list[tuple[int, float]], seed: int, triggered: bool, **numbers: Any
) -> LocalPlan:
    """The plan of these numbers, with images and labels drawn from the seed."""
    generator = stream(seed, "plan")
    samples = sum(size for size, _ in steps)
    stamped = torch.randint(2, (samples,), generator=generator).bool()
    return LocalPlan(
        client=0,
        indices=torch.randint(POOL, (samples,), generator=generator),
        labels=torch.randint(CLASSES, (samples,), generator=generator),
        stamped=stamped if triggered else torch.zeros_like(stamped),
        sizes=tuple(size for size, _ in steps),
        lr=tuple(rate for _, rate in steps),
        dropout_seed=seed,
        trigger=corner(SHAPE) if triggered else None,
        **numbers,
    )


@every_engine
@settings(max_examples=12)
@given(specs=st.lists(SPECS, max_size=7))
def test_any_plans_equal_training_by_hand(
    where: Where, specs: list[dict[str, Any]]
) -> None:
    plans = [made(**spec) for spec in specs]
    trained = rows(where, plans)
    assert trained.shape == (len(plans), len(PARAMS))
    for row, plan in zip(trained, plans, strict=True):
        expected = train_by_hand(PARAMS, PIXELS, plan)
        torch.testing.assert_close(row, expected, rtol=1e-8, atol=1e-11)


@every_engine
def test_every_setting_of_a_plan_changes_the_result(where: Where) -> None:
    """The worked cases above would miss an option that neither side honours."""
    plan = PLANS[4]
    changes = [
        replace(plan, penalty=0.0),
        replace(plan, radius=1.0),
        replace(plan, project_every=1, radius=0.01),
        replace(plan, stamped=~plan.stamped),
        replace(plan, labels=(plan.labels + 1) % CLASSES),
        replace(plan, lr=plan.lr[::-1]),
        replace(plan, momentum=0.5),
        replace(plan, weight_decay=0.1),
        replace(plan, dropout_seed=plan.dropout_seed + 1),
    ]
    trained = rows(where, [plan, *changes])
    assert all(not torch.allclose(row, trained[0], rtol=1e-3) for row in trained[1:])


@every_engine
def test_arguments_are_not_modified_and_the_workspace_does_not_matter(where: Where) -> None:
    before = PARAMS.clone(), PIXELS.clone()
    # `train` makes a new model, with random parameters, every time.
    assert torch.equal(rows(where, PLANS), rows(where, PLANS))
    assert torch.equal(PARAMS, before[0])
    assert torch.equal(PIXELS, before[1])


@every_engine
def test_a_row_depends_on_its_own_plan_alone(where: Where) -> None:
    trained = rows(where, PLANS)
    assert torch.equal(rows(where, PLANS[::-1]).flip(0), trained)
    assert torch.equal(rows(where, PLANS[2:3])[0], trained[2])
    assert torch.equal(rows(where, PLANS * 3), trained.repeat(3, 1))


@every_engine
def test_no_steps_give_a_row_of_zeros_and_no_plans_give_no_rows(where: Where) -> None:
    assert not rows(where, [honest(6, 0, POOL, CLASSES)]).any()
    assert rows(where, []).shape == (0, len(PARAMS))


@every_engine
def test_divergence_stays_in_its_own_row(where: Where) -> None:
    wild = replace(PLANS[0], lr=(1e308,) * len(PLANS[0].lr))
    trained = rows(where, [wild, PLANS[1]])
    assert not trained[0].isfinite().all()
    assert torch.equal(trained[1], rows(where, PLANS[1:2])[0])


def broken(client: int, sample: int, index: int) -> LocalPlan:
    """A plan whose sample is an image that is not there."""
    indices = PLANS[0].indices.clone()
    indices[sample] = index
    return replace(PLANS[0], client=client, indices=indices)


@every_engine
def test_who_raises_is_named_and_everybody_else_is_as_without_them(where: Where) -> None:
    late, early = broken(5, 40, POOL), broken(9, 0, -POOL - 1)
    trained = train(where, [PLANS[1], late, early, PLANS[2]])
    steps = {place: (f.client, f.step) for place, f in trained.failures.items()}
    assert steps == {1: (5, 5), 2: (9, 0)}
    assert not trained.rows[1:3].any()
    with pytest.raises(ClientFailed, match="client 5 failed at step 5: index 60 is out"):
        trained.complete()
    assert isinstance(trained.failures[1].error, IndexError)
    assert torch.equal(trained.rows[[0, 3]], rows(where, PLANS[1:3]))


@every_engine
def test_labels_and_triggers_that_do_not_fit_are_their_clients_failures(
    where: Where,
) -> None:
    labels = PLANS[0].labels.clone()
    labels[17] = CLASSES
    large = Trigger(torch.ones(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4).byte())
    stamped = torch.arange(len(labels)) == 8
    wrong = [replace(PLANS[0], labels=labels)]
    wrong += [replace(PLANS[0], trigger=large, stamped=stamped)]
    trained = train(where, [*wrong, PLANS[1]])
    assert {place: failure.step for place, failure in trained.failures.items()} == {
        0: 2,
        1: 1,
    }
    assert torch.equal(trained.rows[2:], rows(where, PLANS[1:2]))


@every_engine
def test_an_image_may_be_named_from_the_end(where: Where) -> None:
    behind = replace(PLANS[1], indices=PLANS[1].indices - POOL)
    assert torch.equal(rows(where, [behind]), rows(where, [PLANS[1]]))
