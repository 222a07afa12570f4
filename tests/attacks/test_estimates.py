import numpy as np
import pytest
import torch

from fedward.attacks.estimates import clean_rows, mean_and_spread, scaled_to
from fedward.seeds import stream
from tests.attacks.making import knowledge


def test_mean_and_spread_are_numpys() -> None:
    clean = torch.randn(5, 9, generator=stream(1), dtype=torch.float64)
    mean, spread = mean_and_spread(clean)
    np.testing.assert_allclose(mean, clean.numpy().mean(0))
    np.testing.assert_allclose(spread, clean.numpy().std(0, ddof=1))


def test_one_row_spreads_as_far_as_it_is_from_zero() -> None:
    mean, spread = mean_and_spread(torch.tensor([[3.0, -4.0]]))
    assert mean.tolist() == [3, -4]
    assert spread.tolist() == [3, 4]


def test_rows_get_their_norms_and_keep_their_directions() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    scaled = scaled_to(rows, torch.tensor([10.0, 7.0, 1.0]))
    assert scaled.tolist() == [[6, 8], [0, 0], [0, -1]]


def test_missing_estimates_are_told() -> None:
    with pytest.raises(ValueError, match="clean updates"):
        clean_rows(knowledge())
