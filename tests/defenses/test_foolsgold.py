import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from fedward.defenses import FoolsGold
from fedward.defenses.foolsgold import sybil_weights
from fedward.ops.gram import cosines, gram
from tests.defenses.rounds import LAYOUT, honest_rows, make_round

OUTPUT = LAYOUT.columns("fc2.weight")


def with_sybils() -> Tensor:
    rows = honest_rows()
    rows[1] = rows[0] + 1e-4 * rows[9]
    rows[2] = 2 * rows[0]
    return rows


def naive(similarity: np.ndarray, confidence: float) -> list[float]:
    """Algorithm 1, lines 7 to 17, one number at a time."""
    count = len(similarity)
    cs = [[float(similarity[i, j]) for j in range(count)] for i in range(count)]
    closest = [
        max([0.0] + [cs[i][j] for j in range(count) if j != i]) for i in range(count)
    ]
    for i in range(count):
        for j in range(count):
            if closest[j] > closest[i]:
                cs[i][j] *= closest[i] / closest[j]
    weights = [
        1 - max([0.0] + [cs[i][j] for j in range(count) if j != i]) for i in range(count)
    ]
    top = max(weights)
    logits = []
    for weight in weights:
        share = min(weight / top, 0.99)
        raw = confidence * (math.log(share / (1 - share)) + 0.5) if share > 0 else 0.0
        logits.append(min(max(raw, 0.0), 1.0))
    return logits


@given(st.integers(1, 9), st.integers(0, 500), st.floats(0.2, 3))
def test_against_the_algorithm_by_the_number(
    clients: int, seed: int, confidence: float
) -> None:
    rows = torch.randn(clients, 5, generator=torch.Generator().manual_seed(seed)) + 0.5
    similarity = cosines(gram(rows))
    expected = naive(similarity.numpy(), confidence)
    np.testing.assert_allclose(sybil_weights(similarity, confidence), expected, atol=1e-9)


def test_weights_by_hand() -> None:
    """Two at 60 degrees, one at right angles to both: 0.5, 0.5 and 1 before the logit."""
    similarity = torch.tensor([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]).double()
    assert sybil_weights(similarity, 1.0).tolist() == [0.5, 0.5, 1]


def test_sybils_lose_their_say() -> None:
    rows = with_sybils()
    result = FoolsGold()(make_round(rows))
    assert result.accepted.tolist() == [False] * 3 + [True] * 7
    factors = torch.tensor([verdict.factor or 0.0 for verdict in result.verdicts])
    torch.testing.assert_close((factors[:, None] * rows).mean(0), result.update)


def test_similarity_is_that_of_the_summed_output_layer() -> None:
    """A sybil that differs in one round is found by its history."""
    first = FoolsGold()(make_round(with_sybils()))
    history = first.memory["history"]
    assert history.equal(with_sybils()[:, OUTPUT])
    fresh = 0.01 * honest_rows(seed=8)
    second = FoolsGold()(make_round(fresh, memory=first.memory, index=1))
    torch.testing.assert_close(second.memory["history"], history + fresh[:, OUTPUT])
    assert second.verdicts[0].factor is None
    assert FoolsGold()(make_round(fresh)).verdicts[0].factor is not None


def test_the_output_layer_alone_is_compared_unless_told() -> None:
    rows = torch.randn(6, 117, generator=torch.Generator().manual_seed(0))
    rows[1, : OUTPUT.start] = rows[0, : OUTPUT.start]
    assert FoolsGold()(make_round(rows)).accepted.all()
    whole = FoolsGold(features="all")(make_round(rows))
    assert whole.accepted.tolist() == [False] * 2 + [True] * 4
    assert whole.memory["history"].equal(rows)


def test_a_held_round_of_sybils_is_remembered() -> None:
    rows = honest_rows(1).expand(4, -1).clone()
    result = FoolsGold()(make_round(rows))
    assert result.held == "all clients look like sybils of each other"
    assert result.memory["history"].equal(rows[:, OUTPUT])


def test_one_client_is_not_its_own_sybil() -> None:
    rows = honest_rows(1)
    result = FoolsGold()(make_round(rows))
    assert result.verdicts[0].factor == pytest.approx(1)
    torch.testing.assert_close(result.update, rows[0])


def test_a_history_that_overflows_is_no_end_to_all_rounds() -> None:
    """Twice the largest number is Inf, which no later round could take back."""
    rows = honest_rows()
    absurd = rows.clone()
    absurd[0] = torch.finfo(torch.float32).max
    memory: dict[str, Tensor] = {}
    for index in range(3):
        result = FoolsGold()(make_round(absurd, index=index, memory=memory))
        memory = dict(result.memory)
        assert memory["history"].isfinite().all()
    after = FoolsGold()(make_round(rows, index=3, memory=memory))
    assert after.held is None
    assert after.update.isfinite().all()
    assert after.accepted[1:].any()
