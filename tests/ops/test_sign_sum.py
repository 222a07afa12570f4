import numpy as np
import torch
from hypothesis import given
from torch import Tensor

from fedward.ops.sign_sum import mean_magnitudes, sign_sum
from tests.ops.matrices import matrices


def test_worked_case() -> None:
    """Mean magnitudes 1, 2, 3 and median 2: rows step by 1, 2 and (capped) 2."""
    updates = torch.tensor([[1.0, -1.0], [2.0, 2.0], [-6.0, 0.0]])
    total, cap = sign_sum(updates, torch.tensor([True, True, True]))
    assert cap == 2.0
    assert total.tolist() == [1.0 + 2.0 - 2.0, -1.0 + 2.0 + 0.0]


@given(updates=matrices())
def test_equals_numpy(updates: Tensor) -> None:
    rows = updates.double().numpy()
    members = np.arange(len(rows)) % 3 != 0
    magnitude = np.abs(rows).mean(axis=1)
    steps = np.minimum(magnitude, np.median(magnitude))
    expected = (np.sign(rows) * steps[:, None])[members].sum(axis=0)
    total, _ = sign_sum(updates, torch.from_numpy(members))
    np.testing.assert_allclose(total.double().numpy(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mean_magnitudes(updates).numpy(), magnitude, rtol=1e-12)
