"""Signatures and their distances, against the definition and against whole matrices."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies as st
from torch import Tensor

from fedward.layout import Layout
from fedward.ops import kernels as choice, portable
from fedward.ops.amgrad import Sparsity, amgrad, amgrad_distances, layer_maxima
from fedward.ops.kernels import Kernels
from fedward.ops.signatures import distances, signature, signatures, stack
from fedward.protocol import Signatures
from tests.needs import missing
from tests.ops.matrices import LAYERS, matrices

AWKWARD = Layout(("a", "one", "b", "c"), ((7, 11), (), (130,), (64,)))
"""Sizes round the 8 and the 64 bits that are packed together, and a layer of one entry."""

both_forms = pytest.mark.parametrize("sparsity", ["dense", "ternary"])


@pytest.fixture(params=["compiled", "portable"])
def loops(request: pytest.FixtureRequest) -> Iterator[Kernels]:
    """Numba's loops and NumPy's, one after the other."""
    if request.param == "portable":
        chosen: Kernels = portable
    else:
        if not (found := choice.kernels()).__name__.endswith("compiled"):  # type: ignore[attr-defined]
            missing("Numba")
        chosen = found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedward.ops.signatures.kernels", lambda: chosen)
        yield chosen


def naive(updates: Tensor, layout: Layout, sparsity: Sparsity) -> Tensor:
    """The definition in float64: differences of amplified updates, squared and summed."""
    amplified = amgrad(updates.double(), layout, sparsity)
    return (amplified[:, None] - amplified).square().sum(dim=2).sqrt()


def agrees(updates: Tensor, layout: Layout, sparsity: Sparsity) -> Signatures:
    made = signatures(updates, layout, sparsity)
    found = distances(made, layout)
    torch.testing.assert_close(found, naive(updates, layout, sparsity), rtol=1e-12, atol=0)
    assert torch.equal(found, found.T)
    assert not found.diagonal().any()
    return made


once_a_loop = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@both_forms
@given(updates=matrices())
@once_a_loop
def test_distances_equal_the_definition(
    loops: Kernels, updates: Tensor, sparsity: Sparsity
) -> None:
    made = agrees(updates, LAYERS, sparsity)
    assert torch.equal(made.maxima, layer_maxima(updates, LAYERS).double())
    torch.testing.assert_close(made.norms, updates.double().norm(dim=1))
    kept = torch.stack(
        [
            (amgrad(updates, LAYERS, sparsity)[:, columns] != 0).sum(dim=1)
            for columns in LAYERS.slices
        ],
        dim=1,
    )
    assert torch.equal(made.kept, kept)


@both_forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("share", [0.0, 1e-3, 0.02, 0.5])
@pytest.mark.parametrize("clients", [1, 2, 9, 70])
def test_zeros_of_either_sign_few_and_many(
    loops: Kernels, clients: int, share: float, dtype: torch.dtype, sparsity: Sparsity
) -> None:
    """Few zeros are dealt with one by one, many by masks, and both strips of rows."""
    generator = torch.Generator().manual_seed(clients)
    layout = Layout(("a", "b"), ((9, 71), (1500,)))
    updates = torch.randn(clients, layout.params, generator=generator, dtype=dtype)
    lots = torch.rand(updates.shape, generator=generator)
    updates[lots < share] = 0
    updates[lots < share / 3] = -0.0
    made = agrees(updates, layout, sparsity)
    if sparsity == "dense":
        assert (made.present is None) == (not bool((updates == 0).any()))


PLACES = torch.arange(AWKWARD.params)
ROWS = {
    "zeros": 0.0 * PLACES,
    "negative zeros": -0.0 * PLACES,
    "denormal": torch.full((AWKWARD.params,), 1e-45),
    "denormals": PLACES % 5 * 1e-45 * (-1) ** PLACES,
    "equal": torch.full((AWKWARD.params,), -3.0),
    "halves": 0.5 + 0.5 * (PLACES % 2),
    "huge": 3e38 * torch.sin(PLACES),
    "one entry": torch.eye(AWKWARD.params)[77],
    "the last": -torch.eye(AWKWARD.params)[-1],
    "zero layers": torch.cat([torch.zeros(78), torch.linspace(-1, 1, AWKWARD.params - 78)]),
}


@both_forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adversarial_rows(loops: Kernels, dtype: torch.dtype, sparsity: Sparsity) -> None:
    """All pairs of them, and every strip has each of them once as its first row."""
    rows = torch.stack(list(ROWS.values())).to(dtype)
    agrees(rows, AWKWARD, sparsity)
    agrees(torch.cat([rows.roll(k, dims=0) for k in range(3)]), AWKWARD, sparsity)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(loops: Kernels, dtype: torch.dtype) -> None:
    updates = torch.randn(5, LAYERS.params).to(dtype)
    agrees(updates, LAYERS, "dense")


def test_rows_that_do_not_lie_in_one_piece(loops: Kernels) -> None:
    wide = torch.randn(6, 2 * LAYERS.params, generator=torch.Generator().manual_seed(0))
    expected = signatures(wide[:, ::2].contiguous(), LAYERS)
    for view in (wide[:, ::2], wide[:, ::2].T.contiguous().T):
        found = signatures(view, LAYERS)
        assert torch.equal(found.negative, expected.negative)
        assert torch.equal(found.norms, expected.norms)


def test_worked_case(loops: Kernels) -> None:
    """Bits, lowest first: + - 0 in the first word, - in the second; 9 + 16 + 144 = 13^2."""
    layout = Layout(("a", "b"), ((3,), (1,)))
    made = signature(torch.tensor([3.0, -4.0, -0.0, -12.0]), layout)
    assert made.norms.tolist() == [13]
    assert made.maxima.tolist() == [[4, 12]]
    assert made.kept.tolist() == [[2, 1]]
    assert made.present is not None
    assert made.negative.tolist() == [[0b010, *[0] * 7, 1, *[0] * 7]]
    assert made.present.tolist() == [[0b011, *[0] * 7, 1, *[0] * 7]]
    assert signature(torch.tensor([3.0, -4.0, 1.0, 2.0]), layout).present is None


def test_more_entries_than_float32_can_count(loops: Kernels) -> None:
    """Opposite signs in all but two of 2^24 + 3 entries: each adds 4, each of the two 0."""
    size = (1 << 24) + 3
    updates = torch.ones(2, size)
    updates[1, 1:-1] = -1
    found = distances(signatures(updates, Layout.flat(size)), Layout.flat(size))
    assert found[0, 1] == np.sqrt(4 * (size - 2))


@both_forms
@given(updates=matrices(), cut=st.integers(1, 3))
@once_a_loop
def test_one_at_a_time_is_all_at_once(
    loops: Kernels, updates: Tensor, cut: int, sparsity: Sparsity
) -> None:
    whole = signatures(updates, LAYERS, sparsity)
    parts = [signature(row, LAYERS, sparsity) for row in updates[:cut]]
    stacked = stack([*parts, signatures(updates[cut:], LAYERS, sparsity)], LAYERS)
    for name in ("norms", "maxima", "kept", "negative"):
        assert torch.equal(getattr(stacked, name), getattr(whole, name))
    assert (stacked.present is None) == (whole.present is None)
    if whole.present is not None and stacked.present is not None:
        assert torch.equal(stacked.present, whole.present)


def test_stacking_nothing_or_two_forms_is_refused() -> None:
    row = torch.ones(LAYERS.params)
    with pytest.raises(ValueError, match="got none"):
        stack([], LAYERS)
    with pytest.raises(ValueError, match="dense and ternary"):
        stack([signature(row, LAYERS), signature(row, LAYERS, "ternary")], LAYERS)


@both_forms
@given(updates=matrices())
def test_numba_and_numpy_agree_to_the_bit(updates: Tensor, sparsity: Sparsity) -> None:
    found = [signatures(updates, LAYERS, sparsity)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fedward.ops.signatures.kernels", lambda: portable)
        found.append(signatures(updates, LAYERS, sparsity))
        slow = distances(found[1], LAYERS)
    assert torch.equal(found[0].negative, found[1].negative)
    assert torch.equal(distances(found[0], LAYERS), slow)


@given(updates=matrices())
def test_the_matrix_products_of_accelerators_agree(updates: Tensor) -> None:
    found = distances(signatures(updates, LAYERS), LAYERS)
    torch.testing.assert_close(found, amgrad_distances(updates, LAYERS), rtol=1e-12, atol=0)


def test_threads_change_nothing() -> None:
    updates = torch.randn(40, LAYERS.params, generator=torch.Generator().manual_seed(5))
    alone = distances(signatures(updates, LAYERS), LAYERS)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = distances(signatures(updates, LAYERS), LAYERS)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)


@pytest.mark.parametrize("zeros", [False, True])
def test_bits_are_a_small_part_of_the_updates(zeros: bool) -> None:
    layout = Layout(("a", "b"), ((1 << 16,), (999,)))
    updates = torch.ones(4, layout.params)
    updates[2, ::3] = 0 if zeros else 1
    made = signatures(updates, layout)
    bits = made.negative.nbytes + (0 if made.present is None else made.present.nbytes)
    assert bits <= updates.nbytes * (1 / 16 if zeros else 1 / 32) + 4 * 2 * 2 * 8
