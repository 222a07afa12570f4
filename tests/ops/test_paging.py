"""Watched matrices: walks give pages back and read the same numbers as before."""

import mmap
import tempfile
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fedward.ops import blocks, distances, gram as products, means, signatures as signing
from fedward.ops.blocks import column_blocks
from fedward.ops.distances import row_norms
from fedward.ops.means import weighted_sum
from fedward.ops.paging import WINDOW, Mapped, forget, mapping_of, release, watch

ROWS = torch.randn(3, 40_000, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mapped() -> Iterator[Tensor]:
    """The rows in a file, of which two windows a row may stay."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(ROWS.numpy().tobytes())
        mapping = mmap.mmap(file.fileno(), 0)
        rows = torch.frombuffer(mapping, dtype=torch.float32).view_as(ROWS)
        watch(rows, mapping, 3 * 2 * WINDOW)
        yield rows
        forget(rows)


def test_parts_of_a_watched_matrix_are_found_and_others_are_not(mapped: Tensor) -> None:
    found = mapping_of(mapped)
    assert found is not None
    assert mapping_of(mapped[1, 7:]) is found
    assert mapping_of(mapped[:, -1:]) is found
    assert mapping_of(ROWS) is None
    assert mapping_of(mapped.clone()) is None
    assert found.for_each(3) == WINDOW
    assert found.for_each(1000) == 0
    forget(mapped)
    assert mapping_of(mapped) is None


def test_released_pages_are_read_again(mapped: Tensor) -> None:
    for _ in range(2):
        assert mapped.equal(ROWS)
        release(mapping_of(mapped))
    release(None)


def test_walks_over_columns_release_and_change_nothing(
    mapped: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Mapped | None] = []
    for module in (blocks, distances, products, means, signing):
        monkeypatch.setattr(module, "release", seen.append)
    assert torch.cat(list(column_blocks(mapped, 10_000)), dim=1).equal(ROWS)
    # 16,384 columns of float32 fill a window: every block but the first, and at the end.
    assert seen == [mapping_of(mapped)] * 4
    assert row_norms(mapped).equal(row_norms(ROWS))
    assert products.gram(mapped).equal(products.gram(ROWS))
    weights = torch.tensor([0.5, 0.0, 2.0])
    assert weighted_sum(mapped, weights).equal(weighted_sum(ROWS, weights))
    assert len(seen) > 4
    assert set(map(id, seen)) == {id(mapping_of(mapped)), id(None)}
