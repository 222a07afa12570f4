import pytest
import torch
from hypothesis import given, settings, strategies as st

from fedward.attacks.triggers import split, union, whole_trigger
from fedward.engine.plan import Trigger, stamp

GREY = {
    0: [(0, 0), (0, 1), (0, 2), (0, 3)],
    1: [(0, 6), (0, 7), (0, 8), (0, 9)],
    2: [(3, 0), (3, 1), (3, 2), (3, 3)],
    3: [(3, 6), (3, 7), (3, 8), (3, 9)],
}
COLOUR = {
    0: [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)],
    1: [(0, 9), (0, 10), (0, 11), (0, 12), (0, 13), (0, 14)],
    2: [(4, 0), (4, 1), (4, 2), (4, 3), (4, 4), (4, 5)],
    3: [(4, 9), (4, 10), (4, 11), (4, 12), (4, 13), (4, 14)],
}


@pytest.mark.parametrize(("shape", "bars"), [((1, 28, 28), GREY), ((3, 32, 32), COLOUR)])
def test_four_parts_are_the_published_pixels(
    shape: tuple[int, int, int], bars: dict[int, list[tuple[int, int]]]
) -> None:
    for k, part in enumerate(split(whole_trigger(shape), 4)):
        for channel in range(shape[0]):
            assert part.mask[channel].nonzero().tolist() == [list(p) for p in bars[k]]
        assert (part.value[part.mask] == 255).all()


def test_stamping_changes_the_trigger_pixels_and_nothing_else() -> None:
    images = torch.randint(255, (3, 1, 28, 28), dtype=torch.uint8)
    whole = whole_trigger((1, 28, 28))
    marked = stamp(images, whole)
    assert (marked[:, whole.mask] == 255).all()
    assert torch.equal(marked[:, ~whole.mask], images[:, ~whole.mask])


@pytest.mark.parametrize("shape", [(1, 3, 28), (1, 28, 9), (3, 4, 32), (3, 32, 14)])
def test_too_small_images_are_refused_with_the_size_needed(
    shape: tuple[int, int, int],
) -> None:
    with pytest.raises(ValueError, match=rf"at least .* got {shape[1]} x {shape[2]}"):
        whole_trigger(shape)


@pytest.mark.parametrize("shape", [(1, 4, 10), (3, 5, 15)])
def test_the_smallest_images_that_fit(shape: tuple[int, int, int]) -> None:
    assert whole_trigger(shape).mask.any()


@st.composite
def triggers(draw: st.DrawFn) -> Trigger:
    shape = tuple(draw(st.integers(1, 5)) for _ in range(3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    mask = torch.rand(shape, generator=generator) < draw(st.floats(0.1, 1))
    mask[0, 0, 0] = True
    value = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    return Trigger(mask, value)


@settings(max_examples=60, deadline=None)
@given(triggers(), st.data())
def test_parts_are_disjoint_even_and_their_union_is_the_whole(
    trigger: Trigger, data: st.DataObject
) -> None:
    pixels = int(trigger.mask.any(0).sum())
    parts = split(trigger, data.draw(st.integers(1, pixels)))
    assert int(sum(part.mask.int() for part in parts).max()) == 1  # type: ignore[union-attr]
    sizes = [int(part.mask.any(0).sum()) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    order = data.draw(st.permutations(parts))
    whole = union(order)
    assert torch.equal(whole.mask, trigger.mask)
    assert torch.equal(whole.value[whole.mask], trigger.value[trigger.mask])


def test_where_triggers_overlap_the_first_value_holds() -> None:
    mask = torch.tensor([[[True, True, False]]])
    other = torch.tensor([[[False, True, True]]])
    first = Trigger(mask, torch.full((1, 1, 3), 7, dtype=torch.uint8))
    second = Trigger(other, torch.full((1, 1, 3), 9, dtype=torch.uint8))
    assert union([first, second]).value.flatten().tolist() == [7, 7, 9]


def test_impossible_splits_and_empty_unions_are_refused() -> None:
    whole = whole_trigger((1, 28, 28))
    with pytest.raises(ValueError, match="16 pixels splits into 1 to 16 parts, got 17"):
        split(whole, 17)
    with pytest.raises(ValueError, match="got 0"):
        split(whole, 0)
    with pytest.raises(ValueError, match="at least one trigger"):
        union([])
