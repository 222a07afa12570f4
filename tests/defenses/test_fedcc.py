import math

import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import KMeans
from torch import Tensor

from fedward.defenses import FedCC, FedCCAuthors, FedCCLayerwise
from fedward.defenses.fedcc import larger_cluster, similarities
from fedward.layout import Layout
from fedward.ops.cka import centred_rbf, cka
from tests.defenses.rounds import LAYOUT, honest_rows, make_round, mixed_rows

FC1 = LAYOUT.columns("fc1.weight")
OUTPUT = slice(LAYOUT.columns("fc2.weight").start, LAYOUT.params)


def spoiled() -> Tensor:
    """Three clients whose second-to-last layer has lost what it knew."""
    rows = 0.1 * honest_rows()
    generator = torch.Generator().manual_seed(1)
    rows[[1, 4, 6], FC1] = 5 * torch.randn(3, 48, generator=generator)
    return rows


def test_similarities_are_of_the_models_second_to_last_matrix() -> None:
    round = make_round(honest_rows())
    reference = centred_rbf(round.params[FC1].view(6, 8))
    expected = [
        cka(reference, centred_rbf((round.params + row)[FC1].view(6, 8)))
        for row in round.updates
    ]
    actual = similarities(round, "fc1.weight")
    torch.testing.assert_close(actual, torch.tensor(expected).double(), rtol=1e-5, atol=0)


def test_an_unchanged_layer_is_wholly_alike() -> None:
    rows = honest_rows()
    rows[:, FC1] = 0
    assert similarities(make_round(rows), "fc1.weight").tolist() == [1.0] * 10


def test_unlike_layers_are_left_out_and_the_others_averaged() -> None:
    rows = spoiled()
    result = FedCC()(make_round(rows))
    expected = torch.tensor([i not in (1, 4, 6) for i in range(10)])
    assert result.accepted.equal(expected)
    torch.testing.assert_close(result.update, rows[expected].mean(0))
    near = [verdict.distance or 0 for verdict in result.verdicts]
    assert max(near[i] for i in (0, 2, 3)) < min(near[i] for i in (1, 4, 6))


@given(st.integers(0, 200))
def test_the_cluster_is_scikit_learns(seed: int) -> None:
    scores = similarities(make_round(mixed_rows(seed)), "fc1.weight")
    found = KMeans(2, n_init=20, random_state=0).fit(scores[:, None].numpy())
    labels = torch.from_numpy(found.labels_)
    sizes = labels.bincount()
    members = larger_cluster(scores)
    if sizes[0] != sizes[1]:
        assert members.equal(labels == sizes.argmax())
    else:
        assert scores[members].min() > scores[~members].max()


def test_larger_cluster_by_hand() -> None:
    low = torch.tensor([0.1, 0.2, 0.15, 0.9]).double()
    assert larger_cluster(low).tolist() == [True, True, True, False]
    even = torch.tensor([0.1, 0.9, 0.2, 0.8]).double()
    assert larger_cluster(even).tolist() == [False, True, False, True]
    same = torch.full((4,), 0.7).double() + 1e-16 * torch.arange(4)
    assert larger_cluster(same).all()


def test_a_named_layer_is_compared_instead() -> None:
    rows = 0.1 * honest_rows()
    rows[2, LAYOUT.columns("conv.weight")] = 5 * torch.linspace(-1, 1, 24).sin()
    assert FedCC(layer="conv.weight")(make_round(rows)).accepted[2].item() is False
    with pytest.raises(ValueError, match=r"no layer 'fc9'; there are conv\.weight"):
        FedCC(layer="fc9")(make_round(rows))


@pytest.mark.parametrize("defense", [FedCC(), FedCCLayerwise(), FedCCAuthors()])
def test_a_layout_without_matrices_is_refused(defense: FedCC) -> None:
    with pytest.raises(ValueError, match="a weight matrix is needed"):
        defense(make_round(honest_rows(), layout=Layout.flat(117)))


def test_layerwise_by_hand() -> None:
    rows = spoiled()
    round = make_round(rows)
    weights = similarities(round, "fc1.weight").softmax(dim=0).float()
    expected = weights @ rows
    kept = [i for i in range(10) if i not in (1, 4, 6)]
    expected[FC1] = weights[kept] @ rows[kept, FC1] / weights[kept].sum()
    result = FedCCLayerwise()(round)
    torch.testing.assert_close(result.update, expected)
    assert result.accepted.all()
    assert [
        i for i in range(10) if result.verdicts[i].reason == "used in every layer"
    ] == kept
    assert sum(verdict.factor or 0 for verdict in result.verdicts) == pytest.approx(10)


def test_every_layer_is_weighted_by_the_softmax_of_the_similarities() -> None:
    """Also of the compared one, where those who are kept are alike from 0.65 to 1."""
    rows = 0.1 * honest_rows()
    shares = [0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.92, 0.96, 1]
    lost = torch.zeros(6, 8)
    lost[5] = 5
    start = make_round(rows).params[FC1]
    rows[:, FC1] = torch.tensor(shares)[:, None] * (lost.flatten() - start)
    round = make_round(rows)
    scores = similarities(round, "fc1.weight").tolist()
    assert scores[9] < 0.3
    assert [min(scores[:9]), max(scores)] == pytest.approx([0.65, 1], abs=0.01)
    kept = range(9)
    result = FedCCLayerwise()(round)
    reasons = [verdict.reason for verdict in result.verdicts]
    assert reasons == ["used in every layer"] * 9 + ["kept out of fc1.weight"]
    expected = torch.stack(
        [
            sum(math.exp(scores[i]) * column[i] for i in used)
            / sum(math.exp(scores[i]) for i in used)
            for k, column in enumerate(rows.double().T)
            for used in [kept if FC1.start <= k < FC1.stop else range(10)]
        ]
    )
    torch.testing.assert_close(result.update, expected.float())


def test_the_authors_cluster_the_updates_of_the_output_layer() -> None:
    rows = honest_rows()
    rows[[0, 5], OUTPUT] += 4
    rows[9, : OUTPUT.start] += 100
    result = FedCCAuthors()(make_round(rows))
    labels = KMeans(2, n_init=20, random_state=0).fit_predict(rows[:, OUTPUT].numpy())
    expected = torch.from_numpy(labels == labels[9])
    assert result.accepted.equal(expected)
    assert expected.tolist() == [i not in (0, 5) for i in range(10)]
    torch.testing.assert_close(result.update, rows[expected].mean(0))


def test_of_equal_clusters_the_authors_variant_takes_the_tighter() -> None:
    rows = torch.zeros(4, 117)
    rows[:2, -1] = torch.tensor([10.0, 10.1])
    rows[2:, -1] = torch.tensor([-1.0, 1.0])
    assert FedCCAuthors()(make_round(rows)).accepted.tolist() == [True, True, False, False]
