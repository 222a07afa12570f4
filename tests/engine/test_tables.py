import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st

from fedward.engine.network import Network, dropout_masks
from fedward.engine.plan import Trigger, batch
from fedward.engine.tables import IDLE, fault, tabulate, timetable
from tests.engine.plans import corner, honest, images, poisoned, varied


class Dropping(Network):
    """Two sites of dropout, neither a whole number of bytes."""

    dropout = (5, 3)


POOL = 60
SHAPE = (3, 4, 5)
PIXELS = images(POOL, SHAPE)
PARAMS = torch.zeros(7, dtype=torch.float64)
MODEL = Dropping()


def test_a_row_has_the_images_and_labels_of_its_plans_step() -> None:
    whole = Trigger(torch.ones(SHAPE).bool(), torch.full(SHAPE, 7, dtype=torch.uint8))
    plans = [plan for plan in varied(SHAPE, 21, POOL) if plan.sizes]
    plans.append(replace(plans[1], trigger=whole))
    tables = tabulate(MODEL, plans, 8, PARAMS, PIXELS)
    for first, plan in zip(tables.first, plans, strict=True):
        rows = torch.arange(first, first + len(plan.sizes))
        shown = tables.images(PIXELS, rows)
        assert shown.shape == (len(rows), 8, *SHAPE)
        for step, size in enumerate(plan.sizes):
            pictures, labels = batch(plan, PIXELS, step)
            assert torch.equal(shown[step, :size], pictures)
            assert torch.equal(tables.labels[first + step, :size], labels)


def test_a_row_has_the_numbers_of_its_plans_step() -> None:
    plan = replace(honest(0, 9, POOL, 4), penalty=0.5, radius=2.0, project_every=3)
    tables = tabulate(MODEL, [honest(1, 20, POOL, 4), plan], 8, PARAMS, PIXELS)
    assert plan.sizes == (8, 1, 8, 1)
    assert tables.first == (1, 7)
    assert tables.lr[7:].tolist() == pytest.approx([0.05, 0.05, 0.005, 0.005], rel=1e-12)
    assert tables.radius[7:].tolist() == [math.inf, math.inf, 2.0, 2.0]
    assert tables.penalty[6:].tolist() == [0.0, 0.5, 0.5, 0.5, 0.5]
    assert tables.momentum[7:].tolist() == [0.9] * 4
    assert tables.decay[7:].tolist() == [5e-4] * 4
    assert tables.weights[8].tolist() == [1.0, *[0.0] * 7]


def test_a_row_drops_the_units_of_its_plans_step_and_all_of_what_fills_it_up() -> None:
    plans = [plan for plan in varied(SHAPE, 21, POOL) if plan.sizes]
    tables = tabulate(MODEL, plans, 8, PARAMS, PIXELS)
    for first, plan in zip(tables.first, plans, strict=True):
        rows = torch.arange(first, first + len(plan.sizes))
        found = tables.dropout(rows, MODEL.dropout)
        for step, size in enumerate(plan.sizes):
            wanted = dropout_masks(MODEL, size, plan.dropout_seed, step)
            for mask, truth in zip(found, wanted, strict=True):
                assert mask.dtype == torch.float64
                assert torch.equal(mask[step, :size], truth.double())
                assert not mask[step, size:].any()
    (nobody, *_), _ = tables.dropout(torch.tensor([IDLE]), MODEL.dropout)
    assert not nobody.any()


def test_filling_up_counts_nothing_and_every_step_counts_one() -> None:
    tables = tabulate(MODEL, [honest(0, 21, POOL, 4)], 16, PARAMS, PIXELS)
    torch.testing.assert_close(tables.weights[1:].sum(1), torch.ones(6).double())
    assert (tables.weights > 0).sum(1).tolist() == [0, 8, 8, 5, 8, 8, 5]
    # Images that are the step's own: no other image could have been computable or not.
    assert torch.equal(tables.indices[3, 5:], tables.indices[3, :1].expand(11))


def test_nobody_trains_nothing() -> None:
    tables = tabulate(MODEL, [poisoned(honest(0, 21, POOL, 4), SHAPE)], 8, PARAMS, PIXELS)
    told = (tables.weights, tables.lr, tables.momentum, tables.decay, tables.penalty)
    assert all(not numbers[IDLE].any() for numbers in told)
    assert tables.radius[IDLE] == math.inf
    assert not tables.stamped[IDLE].any()


def test_a_plan_that_can_be_computed_has_no_fault() -> None:
    for plan in varied(SHAPE, 21, POOL):
        assert fault(plan, PIXELS, 4) is None


@pytest.mark.parametrize(
    ("sample", "index", "label", "step", "message"),
    [
        (0, POOL, 0, 0, "client 3 failed at step 0: index 60 is out of bounds"),
        (20, -POOL - 1, 0, 2, "client 3 failed at step 2: index -61 is out of bounds"),
        (21, 0, 4, 3, "client 3 failed at step 3: label 4 is out of bounds"),
        (41, 0, -1, 5, "client 3 failed at step 5: label -1 is out of bounds"),
    ],
)
def test_a_fault_names_client_step_and_number(
    sample: int, index: int, label: int, step: int, message: str
) -> None:
    plan = honest(3, 21, POOL, 4)
    indices, labels = plan.indices.clone(), plan.labels.clone()
    indices[sample], labels[sample] = index, label
    found = fault(replace(plan, indices=indices, labels=labels), PIXELS, 4)
    assert found is not None
    assert str(found).startswith(message)
    assert (found.client, found.step) == (3, step)


def test_a_trigger_of_another_size_is_a_fault_where_it_is_used() -> None:
    plan = honest(3, 21, POOL, 4)
    large = replace(plan, trigger=corner((3, 5, 5)))
    assert fault(large, PIXELS, 4) is None
    found = fault(replace(large, stamped=torch.arange(42) == 17), PIXELS, 4)
    assert found is not None
    assert found.step == 2


def test_the_longest_begin_first_and_whoever_is_done_makes_room() -> None:
    """Two attackers with three times the steps: honest clients never wait for them."""
    a, b, c, d, e = range(5)
    assert timetable([1, 3, 1, 3, 1], 3) == [
        [(b, 0), (d, 0), (a, 0)],
        [(b, 1), (d, 1), (c, 0)],
        [(b, 2), (d, 2), (e, 0)],
    ]


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), width=st.integers(1, 5)
)
def test_every_step_is_computed_once_in_order_in_one_slot(
    lengths: list[int], width: int
) -> None:
    ticks = timetable(lengths, width)
    seen: dict[int, list[tuple[int, int, int]]] = {}
    for tick, slots in enumerate(ticks):
        assert len(slots) == width
        for slot, task in enumerate(slots):
            if task is not None:
                seen.setdefault(task[0], []).append((tick, slot, task[1]))
    for item, length in enumerate(lengths):
        begun, place, _ = seen[item][0]
        assert seen[item] == [(begun + step, place, step) for step in range(length)]


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), width=st.integers(1, 5)
)
def test_a_slot_is_idle_only_when_nobody_waits(lengths: list[int], width: int) -> None:
    ticks = timetable(lengths, width)
    for tick, slots in enumerate(ticks):
        later = {task for following in ticks[tick + 1 :] for task in following}
        waiting = [item for item in range(len(lengths)) if (item, 0) in later]
        assert None not in slots or not waiting
    assert max(lengths) <= len(ticks)
    # Graham, 1966: no list schedule is longer than this.
    assert len(ticks) <= sum(lengths) / width + (1 - 1 / width) * max(lengths)
