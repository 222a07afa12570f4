import itertools
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.stats import trim_mean
from torch import Tensor

from fedward.ops import order_statistics
from fedward.ops.order_statistics import coordinate_median, sorting_network, trimmed_mean
from tests.needs import missing
from tests.ops.matrices import matrices


@pytest.fixture(autouse=True, scope="module", params=["compiled", "portable"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Numba's network, and the one that runs where Numba is absent."""
    if request.param == "compiled":
        if find_spec("numba") is None:
            missing("the extra 'speed'")
        yield request.param
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_statistics, "_compiled", lambda: None)
        yield request.param


@pytest.mark.parametrize("rows", range(1, 13))
def test_networks_sort_whatever_consists_of_zeros_and_ones(rows: int) -> None:
    """The 0-1 principle (Knuth 5.3.4, theorem Z): then they sort everything."""
    values = np.array(list(itertools.product((0, 1), repeat=rows)), dtype=np.int8)
    for low, high in sorting_network(rows):
        pair = values[:, [low, high]]
        values[:, low], values[:, high] = pair.min(axis=1), pair.max(axis=1)
    assert (np.diff(values, axis=1) >= 0).all()


def test_networks_are_as_small_as_batchers() -> None:
    """Knuth 5.3.4, equation 10: the merge exchange of 2 to 8 elements."""
    sizes = [len(sorting_network(rows)) for rows in range(1, 9)]
    assert sizes == [0, 1, 3, 5, 9, 12, 16, 19]


@given(st.integers(1, 40), st.data())
def test_pruned_networks_place_what_is_wanted(rows: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    values = np.random.default_rng(rows).permutation(rows)
    network = sorting_network(rows, first, last)
    for low, high in network:
        values[[low, high]] = sorted(values[[low, high]])
    assert values[first:last].tolist() == list(range(first, last))
    assert sorted(values) == list(range(rows))
    assert len(network) <= len(sorting_network(rows))


def test_worked_case() -> None:
    rows = torch.tensor([[1.0, 8.0], [2.0, -9.0], [30.0, 7.0], [4.0, 6.0]])
    assert coordinate_median(rows).tolist() == [3, 6.5]
    assert coordinate_median(rows[:3]).tolist() == [2, 7]
    assert trimmed_mean(rows, 1).tolist() == [3, 6.5]
    assert trimmed_mean(rows, 0).tolist() == [9.25, 3]


@given(matrices(fewest=1))
def test_median_is_numpys(rows: Tensor) -> None:
    assert torch.equal(coordinate_median(rows), torch.from_numpy(np.median(rows, axis=0)))


@given(matrices(fewest=1), st.data())
def test_trimmed_mean_is_scipys(rows: Tensor, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, (len(rows) - 1) // 2))
    # SciPy rounds the share down; half a client more keeps it from losing one to rounding.
    expected = trim_mean(rows.double().numpy(), (cut + 0.5) / len(rows), axis=0)
    np.testing.assert_allclose(
        trimmed_mean(rows, cut), expected, rtol=1e-6, atol=1e-7 * float(rows.abs().max())
    )


@given(matrices(fewest=1), st.data())
def test_trimmed_mean_is_numpys_to_the_bit(rows: Tensor, data: st.DataObject) -> None:
    """Smallest first, as NumPy adds the rows of a sorted matrix; rounded once."""
    cut = data.draw(st.integers(0, (len(rows) - 1) // 2))
    kept = np.sort(rows.double().numpy(), axis=0)[cut : len(rows) - cut]
    assert trimmed_mean(rows, cut).equal(torch.from_numpy(kept.mean(axis=0)).float())


def test_what_has_no_ordinary_exponent_is_ordered_too() -> None:
    odd = [0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, torch.inf, -torch.inf, 1.0]
    rows = torch.tensor(list(itertools.islice(itertools.permutations(odd), 0, 9**4, 7))).T
    assert coordinate_median(rows).equal(torch.zeros(rows.shape[1]))
    for smallest in (1e-45, 4.2e-45):
        alike = torch.full((4, 1), smallest)
        assert coordinate_median(alike).equal(alike[0])
    kept = np.sort(rows.double().numpy(), axis=0)[2:-2].mean(axis=0)
    assert trimmed_mean(rows, 2).equal(torch.from_numpy(kept).float())


@pytest.mark.parametrize("clients", [130, 1025])
def test_many_clients(clients: int) -> None:
    """More than a tile of the usual width has room for, and more than a block."""
    rows = torch.randn(clients, 4099, generator=torch.Generator().manual_seed(clients))
    assert torch.equal(coordinate_median(rows), torch.from_numpy(np.median(rows, axis=0)))


def test_rows_that_are_not_side_by_side() -> None:
    rows = torch.randn(40, 9, generator=torch.Generator().manual_seed(1)).T
    assert not rows.is_contiguous()
    assert torch.equal(coordinate_median(rows), torch.from_numpy(np.median(rows, axis=0)))


@pytest.mark.parametrize("clients", [4, 5])
def test_more_columns_than_a_block(clients: int) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(clients, (1 << 15) + 7, generator=generator)
    assert torch.equal(coordinate_median(rows), torch.from_numpy(np.median(rows, axis=0)))
    torch.testing.assert_close(
        trimmed_mean(rows, 1), rows.sort(dim=0).values[1:-1].mean(dim=0)
    )


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_dtype_is_kept_and_nothing_overflows(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    rows = torch.full((4, 3), largest, dtype=dtype)
    assert coordinate_median(rows).equal(rows[0])
    if dtype != torch.float64:
        assert trimmed_mean(rows, 1).equal(rows[0])


def test_what_is_cut_off_leaves_no_trace() -> None:
    """A mean minus the extremes would lose everything to the far row's rounding."""
    rows = torch.tensor([[1e30], [1.0], [2.0], [3.0], [-1e30]])
    assert trimmed_mean(rows, 1).item() == 2


@pytest.mark.parametrize(("clients", "cut"), [(4, 2), (3, 2), (1, 1), (3, -1)])
def test_trimming_everything_is_refused(clients: int, cut: int) -> None:
    with pytest.raises(ValueError, match=f"trimming {cut} from either side"):
        trimmed_mean(torch.zeros(clients, 2), cut)
