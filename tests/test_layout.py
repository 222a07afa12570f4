import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from fedward.layout import Layout

shapes = st.lists(
    st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=5
).map(tuple)


def named(shapes: tuple[tuple[int, ...], ...]) -> Layout:
    return Layout(tuple(f"layer {i}" for i in range(len(shapes))), shapes)


def test_worked_case() -> None:
    layout = Layout(("weight", "bias", "scale"), ((2, 3), (2,), ()))
    assert layout.sizes == (6, 2, 1)
    assert layout.params == 9
    assert layout.slices == (slice(0, 6), slice(6, 8), slice(8, 9))
    assert layout.columns("bias") == slice(6, 8)
    row = torch.arange(9.0)
    parts = layout.unflatten(row)
    assert parts["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parts["bias"].tolist() == [6, 7]
    assert parts["scale"].item() == 8


@given(shapes)
def test_slices_cover_the_columns_without_gap_or_overlap(
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    layout = named(shapes)
    covered = [column for s in layout.slices for column in range(s.start, s.stop)]
    assert covered == list(range(layout.params))
    assert layout.params == sum(math.prod(shape) for shape in shapes)


@given(shapes)
def test_flatten_and_unflatten_are_inverse(shapes: tuple[tuple[int, ...], ...]) -> None:
    layout = named(shapes)
    row = torch.randn(layout.params, generator=torch.Generator().manual_seed(0))
    parts = layout.unflatten(row)
    assert layout.flatten(parts).equal(row)
    assert all(parts[n].shape == s for n, s in zip(layout.names, shapes, strict=True))


def test_flatten_copies_and_unflatten_views() -> None:
    layout = Layout(("a",), ((3,),))
    source = {"a": torch.zeros(3)}
    row = layout.flatten(source)
    row += 1
    assert not source["a"].any()
    layout.unflatten(row)["a"][0] = 9
    assert row[0] == 9


def test_of_a_module_has_its_parameters_in_order_and_no_buffers() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    layout = Layout.of(module)
    assert layout.names == ("0.weight", "0.bias", "1.weight", "1.bias")
    assert layout.shapes == ((2, 1, 3, 3), (2,), (2,), (2,))


def test_of_a_mapping_leaves_integers_out() -> None:
    tensors = {"a": torch.zeros(2), "steps": torch.tensor(3), "b": torch.zeros(1).double()}
    assert Layout.of(tensors) == Layout(("a", "b"), ((2,), (1,)))


def test_flat() -> None:
    assert Layout.flat(5) == Layout(("all",), ((5,),))
    assert Layout.flat(5).params == 5


def test_load_writes_the_parameters_and_nothing_else() -> None:
    module = nn.BatchNorm1d(2)
    layout = Layout.of(module)
    layout.load(module, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert module.weight.tolist() == [1, 2]
    assert module.bias.tolist() == [3, 4]
    assert module.weight.requires_grad
    assert module.running_mean is not None
    assert module.running_mean.tolist() == [0, 0]
    assert layout.flatten(module).tolist() == [1, 2, 3, 4]


def test_other_layers_are_ignored_by_flatten() -> None:
    row = Layout(("a",), ((1,),)).flatten({"z": torch.ones(3), "a": torch.ones(1)})
    assert row.tolist() == [1]


@pytest.mark.parametrize(
    ("names", "shapes", "message"),
    [
        ((), (), "at least one layer"),
        (("a", "b"), ((1,),), "2 names and 1 shapes"),
        (("a", "b", "a"), ((1,), (1,), (1,)), "'a' appears twice"),
        (("a", "b", "c"), ((1,), (3, 0), (1,)), "at least one entry, 'b' has none"),
    ],
)
def test_impossible_layouts_are_refused(
    names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(names, shapes)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": torch.zeros(2)}, "'b' is missing"),
        ({"a": torch.zeros(2), "b": torch.zeros(4)}, r"'b' needs shape \(3,\), got \(4,\)"),
    ],
)
def test_flatten_says_which_layer_does_not_fit(
    tensors: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(("a", "b"), ((2,), (3,))).flatten(tensors)


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="has 3 entries, got 4"):
        Layout.flat(3).unflatten(torch.zeros(4))


def test_unknown_layers_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no layer 'c'; there are a, b"):
        Layout(("a", "b"), ((1,), (1,))).columns("c")
