from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st

from fedward.buffer import UpdateBuffer
from fedward.layout import Layout
from fedward.ops.blocks import WIDTH, column_blocks, flat_rows, gathered, paired_blocks


@given(st.integers(0, 3), st.integers(0, 40), st.integers(1, 45))
def test_blocks_side_by_side_are_the_matrix(rows: int, columns: int, width: int) -> None:
    matrix = torch.arange(rows * columns).view(rows, columns)
    blocks = list(column_blocks(matrix, width))
    assert torch.cat([matrix[:, :0], *blocks], dim=1).equal(matrix)
    assert all(block.shape[1] == width for block in blocks[:-1])
    assert all(0 < block.shape[1] <= width for block in blocks)


def test_blocks_are_views() -> None:
    matrix = torch.zeros(2, 5)
    for number, block in enumerate(column_blocks(matrix, 2), start=1):
        block += number
    assert matrix[0].tolist() == [1, 1, 2, 2, 3]


def test_there_is_no_memory_of_no_rows() -> None:
    wide = torch.ones(3, 200)
    assert flat_rows(wide[:0, :117]) is None
    found = flat_rows(wide[:, :117])
    assert found is not None
    assert (len(found[0]), found[1].tolist()) == (517, [0, 200, 400])


def test_default_width() -> None:
    sizes = [block.shape[1] for block in column_blocks(torch.zeros(1, WIDTH + 1))]
    assert sizes == [WIDTH, 1]


@given(st.integers(0, 2 * WIDTH + 3))
def test_pairs_are_the_rows(columns: int) -> None:
    rows = torch.arange(2 * columns).view(2, columns)
    pairs = list(paired_blocks(rows[0], rows[1]))
    for row, side in zip(rows, zip(*pairs, strict=True), strict=False):
        assert torch.cat(side).equal(row)
    assert all(len(mine) == len(theirs) <= WIDTH for mine, theirs in pairs)


@pytest.mark.parametrize("mapped", [False, True])
def test_gathered_columns_are_in_their_order(mapped: bool, tmp_path: Path) -> None:
    columns = 2 * WIDTH + 7
    drawn = torch.randperm(columns, generator=torch.Generator().manual_seed(1))[:500]
    rows = torch.randn(3, columns, generator=torch.Generator().manual_seed(2))
    with UpdateBuffer(
        Layout.flat(columns), 3, resident=1 if mapped else 1 << 30, folder=tmp_path
    ) as buffer:
        for client, row in enumerate(rows):
            buffer.add(client, row)
        assert buffer.mapped == mapped
        assert gathered(buffer.updates, drawn).equal(rows[:, drawn])
