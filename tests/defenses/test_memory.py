import torch
from hypothesis import given, strategies as st
from torch import Tensor

from fedward.defenses.memory import recall, remember


def test_worked_case() -> None:
    first = remember({}, torch.tensor([7, 3]), score=torch.tensor([70.0, 30.0]))
    assert first["clients"].tolist() == [3, 7]
    assert first["score"].tolist() == [30, 70]
    second = remember(first, torch.tensor([5, 7]), score=torch.tensor([50.0, 71.0]))
    assert second["clients"].tolist() == [3, 5, 7]
    assert second["score"].tolist() == [30, 50, 71]
    assert first["score"].tolist() == [30, 70]
    asked = recall(second, "score", torch.tensor([7, 9, 3]), torch.tensor(-1.0))
    assert asked.tolist() == [71, -1, 30]


rounds = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=6), max_size=6)


@given(rounds)
def test_against_a_dictionary(rounds: list[list[int]]) -> None:
    expected: dict[int, list[float]] = {}
    memory: dict[str, Tensor] = {}
    for number, clients in enumerate(rounds):
        rows = torch.tensor([[number, client] for client in clients]).float().view(-1, 2)
        identities = torch.tensor(clients, dtype=torch.int64)
        memory = remember(memory, identities, rows=rows)
        expected |= {client: [number, client] for client in clients}
    everyone = torch.arange(10)
    fresh = torch.tensor([-1.0, -1.0])
    remembered = recall(memory, "rows", everyone, fresh)
    assert remembered.tolist() == [expected.get(client, [-1, -1]) for client in range(10)]


def test_what_is_recalled_is_a_copy() -> None:
    memory = remember({}, torch.tensor([1]), rows=torch.zeros(1, 2))
    recall(memory, "rows", torch.tensor([1]), torch.zeros(2)).add_(1)
    assert not memory["rows"].any()
