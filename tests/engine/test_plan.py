from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st

from fedward.attacks import DBA
from fedward.engine.plan import LocalTraining, Trigger, batch, draw_plan, stamp, unit
from fedward.seeds import stream
from tests.engine.plans import corner, honest, images, poisoned


@given(
    samples=st.integers(0, 40),
    size=st.integers(1, 20),
    epochs=st.integers(1, 4),
    milestones=st.lists(st.integers(1, 4), max_size=2, unique=True),
)
def test_every_epoch_visits_the_shard_once(
    samples: int, size: int, epochs: int, milestones: list[int]
) -> None:
    shard = torch.arange(100, 100 + samples)
    labels = torch.arange(200) % 7
    training = LocalTraining(
        epochs=epochs, batch_size=size, lr=0.4, milestones=tuple(milestones), gamma=0.5
    )
    plan = draw_plan(3, shard, labels, training, stream(1))
    for epoch in plan.indices.view(epochs, samples):
        assert torch.equal(epoch.sort().values, shard)
    assert torch.equal(plan.labels, labels[plan.indices])
    steps = -(-samples // size)
    assert len(plan.sizes) == epochs * steps
    assert all(0 < taken <= size for taken in plan.sizes)
    expected = [
        0.4 * 0.5 ** sum(m <= epoch for m in milestones)
        for epoch in range(epochs)
        for _ in range(steps)
    ]
    assert plan.lr == pytest.approx(expected)
    assert not plan.stamped.any()


def test_the_same_stream_draws_the_same_plan_and_another_does_not() -> None:
    ours, again, other = (honest(c, 30, 60, 4) for c in (1, 1, 2))
    assert torch.equal(ours.indices, again.indices)
    assert ours.dropout_seed == again.dropout_seed
    assert ours.dropout_seed != other.dropout_seed


def test_stamp_overwrites_the_mask_of_the_chosen_images_and_nothing_else() -> None:
    pixels = images(3, (1, 3, 3))
    before = pixels.clone()
    where = torch.tensor([True, False, True])
    stamped = stamp(pixels, corner((1, 3, 3)), where)
    assert torch.equal(pixels, before)
    assert torch.equal(stamped[1], pixels[1])
    assert (stamped[where][:, 0, 0, :2] == 255).all()
    assert torch.equal(stamped[:, :, 1:], pixels[:, :, 1:])
    assert torch.equal(stamp(pixels, corner((1, 3, 3)))[where], stamped[where])


def test_batch_takes_the_images_and_labels_of_its_step() -> None:
    pixels = images(40, (1, 3, 3))
    plan = poisoned(honest(1, 21, 40, 4), (1, 3, 3))
    assert plan.sizes == (8, 8, 5) * 2
    got, labels = batch(plan, pixels, 2)
    assert torch.equal(labels, plan.labels[16:21])
    for image, index, dirty in zip(
        got, plan.indices[16:21], plan.stamped[16:21], strict=True
    ):
        expected = pixels[index].double() / 255
        if dirty:
            expected[0, 0, :2] = 1.0
        torch.testing.assert_close(image.double(), expected, atol=1e-7, rtol=0)


def test_unit_maps_bytes_onto_the_unit_interval() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    expected = torch.arange(256, dtype=torch.float64) / 255
    torch.testing.assert_close(unit(every).double(), expected, atol=6e-8, rtol=0)
    assert unit(every)[[0, -1]].tolist() == [0.0, 1.0]


def test_projection_comes_every_few_steps_and_after_the_last() -> None:
    plan = replace(honest(1, 40, 50, 4), radius=1.0, project_every=4)
    assert [s for s in range(10) if plan.projects(s)] == [3, 7, 9]
    assert not any(replace(plan, radius=float("inf")).projects(s) for s in range(10))


def test_a_plan_that_does_not_fit_together_is_refused() -> None:
    plan = honest(7, 20, 50, 4)
    with pytest.raises(ValueError, match=r"client 7: steps of 36 images .* got 40 and 40"):
        replace(plan, sizes=plan.sizes[:-1], lr=plan.lr[:-1])
    with pytest.raises(ValueError, match=r"client 7: every step needs .* got 5 rates"):
        replace(plan, lr=plan.lr[1:])
    with pytest.raises(ValueError, match="client 7: every step needs an image"):
        replace(plan, sizes=(*plan.sizes, 0), lr=(*plan.lr, 0.1))
    with pytest.raises(ValueError, match="client 7: stamped images need a trigger"):
        replace(plan, stamped=torch.ones(40, dtype=torch.bool))


def test_a_trigger_with_channels_paints_each_its_own_value() -> None:
    mask = torch.zeros(2, 1, 2, dtype=torch.bool)
    mask[:, 0, 1] = True
    value = torch.tensor([[[9, 10]], [[19, 20]]], dtype=torch.uint8)
    stamped = stamp(torch.zeros(1, 2, 1, 2, dtype=torch.uint8), Trigger(mask, value))
    assert stamped.tolist() == [[[[0, 10]], [[0, 20]]]]


def test_a_milestone_is_an_epoch() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        LocalTraining(milestones=(2, -1))
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        DBA(milestones=(-1,))
