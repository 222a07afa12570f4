import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from torch import Tensor

from fedward.defenses import Flame, FlameAuthors
from fedward.defenses.flame import model_distances, mutual_reachability
from fedward.ops.distances import row_norms
from fedward.protocol import Aggregation
from fedward.seeds import stream
from tests.defenses.rounds import honest_rows, make_round, mixed_rows


def majority_component(distances: Tensor) -> Tensor:
    """Closed form: the first component of more than half as the threshold rises."""
    count = len(distances)
    for threshold in np.unique(distances):
        _, labels = connected_components(distances.numpy() <= threshold)
        sizes = np.bincount(labels)
        if 2 * sizes.max() > count:
            return torch.from_numpy(labels == sizes.argmax())
    raise AssertionError("unreachable: at the largest distance all are linked")


def cosine_distances(rows: Tensor, params: Tensor) -> Tensor:
    models = (rows.double() + params.double()).numpy()
    return torch.from_numpy(cdist(models, models, "cosine")).fill_diagonal_(0)


def clipped_mean(rows: Tensor, members: Tensor, noise: float, seed: int) -> Tensor:
    """Lines 8 to 14 once more: median over all, mean over the members, noise."""
    norms = rows.norm(dim=1)
    bound = norms.quantile(0.5)
    clipped = rows * (bound / norms).clamp(max=1)[:, None]
    drawn = torch.randn(rows.shape[1], generator=stream(seed, "defense"))
    return torch.as_tensor(clipped[members].mean(0) + noise * bound * drawn)


@given(st.integers(0, 300), st.integers(3, 16))
def test_against_the_closed_form(seed: int, clients: int) -> None:
    attackers = mixed_rows(seed)[: min(3, (clients - 1) // 2)]
    rows = torch.cat([attackers, honest_rows(clients - len(attackers), seed)])
    round = make_round(rows, seed=seed)
    members = majority_component(cosine_distances(rows, round.params))
    result = Flame()(round)
    assert result.accepted.equal(members)
    assert 2 * int(members.sum()) > clients
    torch.testing.assert_close(result.update, clipped_mean(rows, members, 1e-3, seed))


@given(st.integers(0, 300), st.integers(3, 16))
def test_authors_against_the_closed_form(seed: int, clients: int) -> None:
    attackers = mixed_rows(seed)[: min(3, (clients - 1) // 2)]
    rows = torch.cat([attackers, honest_rows(clients - len(attackers), seed)])
    round = make_round(rows, seed=seed)
    distances = model_distances(round, row_norms(round.updates))
    core = distances.sort(dim=1).values[:, clients // 2 + 1]
    reach = torch.zeros(clients, clients, dtype=torch.float64)
    for i, j in itertools.permutations(range(clients), 2):
        reach[i, j] = max(distances[i, j] / 0.9, core[i], core[j])
    torch.testing.assert_close(mutual_reachability(distances, 0.9), reach)
    result = FlameAuthors()(round)
    assert result.accepted.equal(majority_component(reach))
    torch.testing.assert_close(
        result.update, clipped_mean(rows, result.accepted, 1e-4, seed)
    )


def test_directions_are_the_models_not_the_updates() -> None:
    round = make_round(mixed_rows())
    expected = cosine_distances(round.updates, round.params)
    norms = row_norms(round.updates)
    # What `model_gram` promises, on either side of the cosine.
    models = (round.updates + round.params).norm(dim=1)
    bound = 1e-5 * float((norms / models).max()) ** 2
    torch.testing.assert_close(model_distances(round, norms), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("defense", [Flame(), FlameAuthors()])
def test_attackers_that_turn_the_model_are_left_out(defense: Flame | FlameAuthors) -> None:
    rows = honest_rows()
    rows[:4] += 20 * torch.randn(117, generator=stream(0, "turn"))
    result: Aggregation = defense(make_round(rows))
    assert not result.accepted[:4].any()
    assert 2 * int(result.accepted.sum()) > 10
    gaps = [verdict.distance or 0.0 for verdict in result.verdicts]
    assert min(gaps[:4]) > 10 * max(gaps[4:])


def test_the_bound_is_the_median_of_all_not_of_the_accepted() -> None:
    rows = honest_rows()
    rows[:4] += 20 * torch.randn(117, generator=stream(0, "turn"))
    result = Flame()(make_round(rows))
    assert result.facts["bound"] == pytest.approx(float(rows.norm(dim=1).quantile(0.5)))
    assert result.facts["sigma"] == pytest.approx(1e-3 * result.facts["bound"])


def test_without_noise_nothing_is_drawn() -> None:
    round = make_round(honest_rows())
    Flame(noise=0)(round)
    assert round.generator.get_state().equal(stream(0, "defense").get_state())
