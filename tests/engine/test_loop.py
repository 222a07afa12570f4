import pytest
import torch

from fedward.engine.loop import distance, project


def test_distance_is_over_all_layers_together() -> None:
    weights = [torch.tensor([[3.0]], requires_grad=True), torch.tensor([5.0])]
    far = distance(weights, [torch.zeros(1, 1), torch.ones(1)])
    assert far.item() == 5.0
    here = distance(weights, [weights[0].detach(), weights[1]])
    (gradient,) = torch.autograd.grad(here, weights[0])
    assert (here.item(), gradient.item()) == (0.0, 0.0)


@pytest.mark.parametrize(("radius", "expected"), [(2.5, [1.5, 3.0]), (5.0, [3.0, 5.0])])
def test_projection_keeps_the_direction(radius: float, expected: list[float]) -> None:
    weights = [torch.tensor([3.0]), torch.tensor([5.0])]
    project(weights, [torch.zeros(1), torch.ones(1)], radius)
    assert [weight.item() for weight in weights] == expected
