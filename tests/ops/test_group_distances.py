import math

import torch
from hypothesis import given, strategies as st

from fedward.ops.group_distances import mean_distances_to


def test_worked_case() -> None:
    distances = torch.tensor([[0.0, 2, 6], [2, 0, 5], [6, 5, 0]]).double()
    assert mean_distances_to(distances, torch.tensor([True, True, False])) == [2, 2, 5.5]
    assert mean_distances_to(distances, torch.tensor([True, False, False])) == [None, 2, 6]
    assert mean_distances_to(distances, torch.zeros(3, dtype=torch.bool)) == [None] * 3


def test_distances_to_outsiders_are_not_read() -> None:
    distances = torch.tensor(
        [[0.0, 1, math.inf], [1, 0, math.nan], [math.inf, math.nan, 0]]
    )
    members = torch.tensor([True, True, False])
    assert mean_distances_to(distances.double(), members)[:2] == [1, 1]


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(0, 99))
def test_against_a_loop(members: list[bool], seed: int) -> None:
    count = len(members)
    distances = torch.rand(
        count, count, generator=torch.Generator().manual_seed(seed)
    ).double()
    for row, mean in enumerate(mean_distances_to(distances, torch.tensor(members))):
        own = [float(distances[row, j]) for j in range(count) if members[j] and j != row]
        assert (mean is None) == (not own)
        assert mean is None or math.isclose(mean, sum(own) / len(own))
