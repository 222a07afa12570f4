import torch

from fedward.engine.network import Network, dropout_masks
from fedward.models import CifarNet, MnistNet


def masks(model: Network, seed: int, step: int) -> torch.Tensor:
    return torch.cat(dropout_masks(model, 64, seed, step), dim=1)


def test_masks_belong_to_seed_and_step() -> None:
    model = CifarNet(3, 10)
    ours = masks(model, 1, 0)
    assert torch.equal(masks(model, 1, 0), ours)
    assert not torch.equal(masks(model, 1, 1), ours)
    assert not torch.equal(masks(model, 2, 0), ours)


def test_half_of_the_units_are_kept_and_doubled() -> None:
    first, second = dropout_masks(CifarNet(3, 10), 64, 1, 0)
    assert (first.shape, second.shape) == ((64, 4096), (64, 384))
    assert ((first == 0) | (first == 2)).all()
    assert abs(float(first.mean()) - 1) < 5 / (64 * 4096) ** 0.5
    assert abs(float(second.mean()) - 1) < 5 / (64 * 384) ** 0.5


def test_a_model_without_dropout_needs_no_masks() -> None:
    assert dropout_masks(MnistNet(1, 10), 64, 1, 0) == ()
