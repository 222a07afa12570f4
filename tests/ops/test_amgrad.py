import pytest
import torch
from hypothesis import given
from torch import Tensor

from fedward.layout import Layout
from fedward.ops.amgrad import Sparsity, amgrad, amgrad_distances, layer_maxima
from tests.ops.matrices import LAYERS, matrices


def test_worked_case_dense() -> None:
    layout = Layout(("a", "b"), ((3,), (2,)))
    updates = torch.tensor([[0.1, -0.4, 0.0, 2.0, -0.0]])
    expected = torch.tensor([[0.4, -0.4, 0.0, 2.0, 0.0]])
    torch.testing.assert_close(amgrad(updates, layout), expected, rtol=0, atol=0)


def test_worked_case_ternary_half_of_the_maximum_becomes_zero() -> None:
    layout = Layout.flat(5)
    updates = torch.tensor([[0.5, -0.5, 0.51, -1.0, 0.2]])
    expected = torch.tensor([[0.0, 0.0, 1.0, -1.0, 0.0]])
    torch.testing.assert_close(amgrad(updates, layout, "ternary"), expected, rtol=0, atol=0)


def naive(row: Tensor, layout: Layout, sparsity: Sparsity) -> Tensor:
    """Equation 3 and the authors' rounding, entry by entry in Python floats."""
    out: list[float] = []
    for columns in layout.slices:
        layer = row[columns].double().tolist()
        peak = max(abs(entry) for entry in layer)
        for entry in layer:
            sign = (entry > 0) - (entry < 0)
            kept = sparsity == "dense" or 2 * abs(entry) > peak
            out.append(sign * peak if kept else 0.0)
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize("sparsity", ["dense", "ternary"])
@given(updates=matrices())
def test_equals_the_definition_entry_by_entry(updates: Tensor, sparsity: Sparsity) -> None:
    found = amgrad(updates, LAYERS, sparsity).double()
    expected = torch.stack([naive(row, LAYERS, sparsity) for row in updates])
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("sparsity", ["dense", "ternary"])
@given(updates=matrices())
def test_distances_equal_those_of_the_amplified_matrix(
    updates: Tensor, sparsity: Sparsity
) -> None:
    amplified = amgrad(updates, LAYERS, sparsity).double()
    gaps = amplified[:, None] - amplified[None]
    expected = gaps.square().sum(dim=2).sqrt()
    found = amgrad_distances(updates, LAYERS, sparsity)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert torch.equal(found, found.T)
    assert not found.diagonal().any()


@given(updates=matrices())
def test_permuting_clients_permutes_distances_bit_for_bit(updates: Tensor) -> None:
    order = torch.randperm(len(updates), generator=torch.Generator().manual_seed(1))
    permuted = amgrad_distances(updates[order], LAYERS)
    assert torch.equal(permuted, amgrad_distances(updates, LAYERS)[order][:, order])


def test_distances_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = torch.randn(5, 1000, generator=torch.Generator().manual_seed(2))
    layout = Layout(("a", "b"), ((300,), (700,)))
    whole = amgrad_distances(updates, layout)
    monkeypatch.setattr("fedward.ops.blocks.column_blocks.__defaults__", (64,))
    assert torch.equal(amgrad_distances(updates, layout), whole)


def test_dense_amgrad_is_idempotent_and_keeps_its_argument() -> None:
    updates = torch.randn(4, LAYERS.params, generator=torch.Generator().manual_seed(3))
    before = updates.clone()
    once = amgrad(updates, LAYERS)
    assert torch.equal(amgrad(once, LAYERS), once)
    assert torch.equal(updates, before)


def test_layer_maxima_worked_case() -> None:
    layout = Layout(("a", "b"), ((2,), (1,)))
    updates = torch.tensor([[1.0, -3.0, 0.0], [0.5, 0.25, -7.0]])
    assert layer_maxima(updates, layout).tolist() == [[3.0, 0.0], [0.5, 7.0]]
