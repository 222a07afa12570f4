import torch
from hypothesis import given, strategies as st

from fedward.ops.blocks import WIDTH, column_blocks


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


def test_default_width() -> None:
    sizes = [block.shape[1] for block in column_blocks(torch.zeros(1, WIDTH + 1))]
    assert sizes == [WIDTH, 1]
