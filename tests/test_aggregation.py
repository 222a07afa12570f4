from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fedward
from fedward.defenses import CRFL, FedAvg, Fedward, FedwardAuthors, FoolsGold
from fedward.layout import Layout
from fedward.models import make_model


def two_groups() -> torch.Tensor:
    """Three attackers far from seven honest clients."""
    updates = torch.randn(10, 40, generator=torch.Generator().manual_seed(0)) + 1
    updates[:3] -= 4
    return updates


def test_torch_and_numpy_are_decided_alike() -> None:
    updates = two_groups()
    one, other = fedward.aggregate(updates), fedward.aggregate(updates.numpy())
    assert one.accepted.tolist() == other.accepted.tolist()
    assert not one.accepted[:3].any()
    assert one.accepted[3:].sum() >= 5
    assert torch.equal(one.update, other.update)
    assert other.verdicts == one.verdicts


def test_read_only_arrays_are_read_and_nothing_is_written() -> None:
    updates = two_groups().numpy()
    before = updates.copy()
    updates.setflags(write=False)
    fedward.aggregate(updates)
    np.testing.assert_array_equal(updates, before)


def test_updates_that_a_model_made_are_decided_like_others() -> None:
    updates, params = two_groups().requires_grad_(), torch.zeros(40, requires_grad=True)
    layer = {"weight": torch.zeros(4, 10)}
    defenses = (Fedward(), Fedward(amgrad="off"), FedwardAuthors(), FoolsGold(), CRFL())
    for defense in defenses:
        made = fedward.aggregate(updates, layer, defense, params=params)
        plain = fedward.aggregate(two_groups(), layer, defense)
        assert torch.equal(made.update, plain.update)
        for tensor in (made.update, *made.memory.values()):
            assert not tensor.requires_grad


def test_the_layers_decide() -> None:
    """A layout changes AmGrad, so it changes the distances."""
    updates = two_groups()
    halves = Layout(("a", "b"), ((4, 5), (20,)))
    flat, layered = fedward.aggregate(updates), fedward.aggregate(updates, layout=halves)
    assert flat.facts["eps"] != layered.facts["eps"]
    named = fedward.aggregate(updates, {"a": torch.zeros(4, 5), "b": torch.zeros(20)})
    assert named.facts == layered.facts


def test_a_model_is_a_layout() -> None:
    model = nn.Linear(3, 10)
    result = fedward.aggregate(two_groups(), model)
    expected = fedward.aggregate(two_groups(), Layout(("weight", "bias"), ((10, 3), (10,))))
    assert torch.equal(result.update, expected.update)
    assert Layout.of(make_model("mnistnet", (1, 28, 28), 10, 0)).params == 431_080


@pytest.mark.parametrize("kind", [torch.Tensor, np.ndarray])
def test_mappings_bring_their_own_layout(kind: type[Any]) -> None:
    updates = two_groups()
    clients = [{"a": row[:20].view(4, 5), "b": row[20:]} for row in updates]
    if kind is np.ndarray:
        arrays = [{name: part.numpy() for name, part in c.items()} for c in clients]
        result = fedward.aggregate(arrays)
    else:
        result = fedward.aggregate(clients)
    halves = Layout(("a", "b"), ((4, 5), (20,)))
    assert torch.equal(result.update, fedward.aggregate(updates, halves).update)


def test_a_client_with_another_shape_is_named() -> None:
    clients = [{"a": torch.zeros(3)}, {"a": torch.zeros(4)}]
    with pytest.raises(ValueError, match=r"layer 'a' needs shape \(3,\), got \(4,\)"):
        fedward.aggregate(clients)


def test_other_defenses_and_everything_they_need() -> None:
    updates = two_groups()
    weights = [1.0] * 4 + [0.0] * 6
    mean = fedward.aggregate(updates, defense=FedAvg(weighted=True), weights=weights)
    torch.testing.assert_close(mean.update, updates[:4].mean(dim=0))
    noisy = fedward.DEFENSES["weak-dp"]()
    one = fedward.aggregate(updates, defense=noisy, seed=1, params=torch.zeros(40))
    assert torch.equal(one.update, fedward.aggregate(updates, defense=noisy, seed=1).update)
    other = fedward.aggregate(updates, defense=noisy, seed=2)
    assert not torch.equal(one.update, other.update)


def test_memory_goes_out_and_in() -> None:
    defense = fedward.DEFENSES["afa"]()
    first = fedward.aggregate(two_groups(), defense=defense, clients=range(10))
    assert first.memory
    second = fedward.aggregate(
        two_groups(), defense=defense, clients=range(10), index=1, memory=first.memory
    )
    assert any(
        not torch.equal(second.memory[name], tensor)
        for name, tensor in first.memory.items()
    )


@pytest.mark.parametrize(
    "updates",
    [torch.zeros(3), torch.zeros(0, 4), []],
    ids=["flat", "no rows", "no clients"],
)
def test_shapes_are_checked(updates: Any) -> None:
    with pytest.raises(ValueError, match="updates need"):
        fedward.aggregate(updates)


def test_a_layout_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="updates have 40 columns, the layout 41"):
        fedward.aggregate(two_groups(), Layout.flat(41))


def test_the_default_is_fedward() -> None:
    default, named = (
        fedward.aggregate(two_groups()),
        fedward.aggregate(two_groups(), None, Fedward()),
    )
    assert torch.equal(default.update, named.update)
