import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from sklearn.cluster import OPTICS
from torch import Tensor

from fedward.defenses.fedward import Fedward, FedwardAuthors
from fedward.layout import Layout
from fedward.ops.amgrad import amgrad
from fedward.ops.auto_optics import EpsRule
from fedward.ops.sign_sum import sign_sum
from fedward.ops.signatures import signatures
from fedward.protocol import Round
from tests.defenses.rounds import LAYOUT, mixed_rows
from tests.ops.matrices import LAYERS, matrices


def make_round(updates: Tensor, layout: Layout = LAYERS) -> Round:
    clients, params = updates.shape
    return Round(
        updates=updates,
        weights=torch.ones(clients),
        params=torch.zeros(params, dtype=updates.dtype),
        layout=layout,
        clients=torch.arange(clients),
        index=0,
        generator=torch.Generator(),
    )


def attacked_round(seed: int = 0) -> Round:
    """Six honest clients near a direction, four attackers together and far away."""
    generator = torch.Generator().manual_seed(seed)
    updates = torch.randn(10, LAYERS.params, generator=generator) * 0.1
    direction = torch.randn(LAYERS.params, generator=generator)
    updates[4:] += direction
    updates[:4] -= 3 * direction
    return make_round(updates)


def test_worked_case_by_hand() -> None:
    """One layer of two entries; AmGrad is the identity up to signs here.

    Updates (3,3) (4,4) (6,6) (2,2) and (-9,-9). AmGrad leaves them. In units of sqrt 2 they
    lie at 3, 4, 6, 2, -9. m = 5, mins = 4. Nearest four others of each row, ascending:
    1 1 3 12 | 1 2 2 13 | 2 3 4 15 | 1 2 4 11 | 11 12 13 15. Median of the 20 values
    1 1 1 1 2 2 2 2 3 3 4 4 11 11 12 12 13 13 15 15 is (3 + 4) / 2 = 3.5.
    Core distances (fourth with self): 3, 2, 4, 4, 13. Cores at 3.5: rows 0 and 1.
    The walk starts at row 1 (core 2) and reaches 0, 2, 3 at 2; then row 4 from row 3, the
    nearest, at max(4, 11) = 11: beyond eps and not a core point, so noise.
    Group: rows 0 to 3. Norms / sqrt 2: 3 4 6 2 9; the fourth smallest is 6, so none of the
    group is clipped. Mean: (3 + 4 + 6 + 2) / 4 = 3.75.
    """
    updates = torch.tensor([[3.0, 3], [4, 4], [6, 6], [2, 2], [-9, -9]])
    result = Fedward()(make_round(updates, Layout.flat(2)))
    assert result.accepted.tolist() == [True, True, True, True, False]
    assert result.update.tolist() == pytest.approx([3.75, 3.75])
    assert result.facts["eps"] == pytest.approx(3.5 * math.sqrt(2))
    assert result.facts["bound"] == pytest.approx(6 * math.sqrt(2))
    assert result.verdicts[1].position == 0
    assert result.verdicts[1].core_distance == pytest.approx(2 * math.sqrt(2))
    assert result.verdicts[1].reachability is None
    assert result.verdicts[4].reachability == pytest.approx(11 * math.sqrt(2))
    # Distance of row 0 to rows 1, 2, 3: (1 + 3 + 1) / 3.
    assert result.verdicts[0].distance == pytest.approx(5 / 3 * math.sqrt(2))
    assert result.verdicts[4].reason == "outside the majority group"


def test_clipping_worked_case() -> None:
    """Median bound of norms 3 4 6 2 9 (in sqrt 2) is 4: row 2 shrinks from 6 to 4."""
    updates = torch.tensor([[3.0, 3], [4, 4], [6, 6], [2, 2], [-9, -9]])
    result = Fedward(clip="median")(make_round(updates, Layout.flat(2)))
    assert result.update.tolist() == pytest.approx([(3 + 4 + 4 + 2) / 4] * 2)
    assert result.verdicts[2].factor == pytest.approx(4 / 6)
    assert result.verdicts[4].factor is None


@pytest.mark.parametrize("amgrad", ["dense", "ternary", "off"])
@pytest.mark.parametrize("eps", ["nearest-others", "kth", "authors"])
@pytest.mark.parametrize("cluster", ["optics", "dbscan", "hdbscan"])
def test_far_attackers_are_rejected_under_every_reading(
    amgrad: str, eps: str, cluster: str
) -> None:
    defense = Fedward(amgrad=amgrad, eps=eps, cluster=cluster)  # type: ignore[arg-type]
    result = defense(attacked_round())
    assert not result.accepted[:4].any()
    if eps != "nearest-others":  # the median distance may be shorter than every core's
        assert result.accepted.sum() >= 4


@given(updates=matrices(), eps=st.sampled_from(["nearest-others", "kth", "authors"]))
def test_update_is_the_clipped_mean_of_the_accepted(updates: Tensor, eps: str) -> None:
    """Algorithm 1, lines 12 to 18, spelt out in float64."""
    result = Fedward(eps=eps)(make_round(updates))  # type: ignore[arg-type]
    rows = updates.double()
    norms = rows.norm(dim=1)
    inds = [i for i in range(len(rows)) if result.accepted[i]]
    if not inds:
        assert result.held == "no majority group was found"
        assert not result.update.any()
        return
    bound = norms.sort().values[len(inds) - 1]
    clipped = [
        rows[i] / max(1.0, float(norms[i] / bound)) if bound else rows[i] for i in inds
    ]
    expected = torch.stack(clipped).mean(dim=0)
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        result.update.double(), expected, rtol=1e-5, atol=1e-6 * scale
    )
    assert float(result.update.double().norm()) <= float(bound) * (1 + 1e-5)


@given(updates=matrices())
def test_amgrad_before_is_amgrad_inside(updates: Tensor) -> None:
    """Clustering sees amplified vectors only, so amplifying first changes no verdict."""
    plain = Fedward()(make_round(updates))
    amplified = Fedward()(make_round(amgrad(updates, LAYERS)))
    assert torch.equal(plain.accepted, amplified.accepted)


@given(updates=matrices(), bad=st.sampled_from([None, 0, 2]))
def test_ready_signatures_change_nothing(updates: Tensor, bad: int | None) -> None:
    """Also of rows that are not numbers, and of the other sparsity."""
    updates = updates.clone()
    if bad is not None:
        updates[bad, 3] = math.nan
    round = make_round(updates)
    expected = Fedward()(round)
    for sparsity in ("dense", "ternary"):
        made = signatures(updates, LAYERS, sparsity)
        found = Fedward()(replace(round, signatures=made))
        assert found.verdicts == expected.verdicts
        assert found.update.equal(expected.update)


def test_ready_signatures_are_used_and_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    round = attacked_round()
    expected = Fedward()(round)
    made = signatures(round.updates, LAYERS)
    monkeypatch.setattr("fedward.defenses.fedward.signatures", None)
    assert Fedward()(replace(round, signatures=made)).verdicts == expected.verdicts


def test_nobody_clustered_holds_or_takes_the_core() -> None:
    """Honest clients at 0 1 2 3 4 5, four attackers together at 1000.

    m = 10, mins = 6. Of the 60 distances to the six nearest others, 12 are 0 (attackers),
    10 are 1, 8 are 2, so the median is (2 + 3) / 2 = 2.5. Core distances (sixth with self)
    are 5 4 3 3 4 5 and about 1000, all beyond it: everybody is noise. The densest are the
    six honest.
    """
    line = torch.tensor([[0.0], [1], [2], [3], [4], [5], [1000], [1000], [1000], [1000]])
    round = make_round(line, Layout.flat(1))
    result = Fedward(amgrad="off")(round)
    assert result.held == "no majority group was found"
    assert not result.accepted.any()
    assert torch.equal(result.update, torch.zeros(1))
    taken = Fedward(amgrad="off", no_cluster="core")(round)
    assert taken.held is None
    assert taken.accepted.tolist() == [True] * 6 + [False] * 4
    assert "densest" in next(v.reason for v in taken.verdicts if v.accepted)


@pytest.mark.parametrize("clients", [1, 2, 3])
def test_too_few_clients_hold(clients: int) -> None:
    result = Fedward()(make_round(torch.ones(clients, 33)))
    assert result.held == f"Fedward needs at least 4 usable updates, got {clients}"


def test_no_cluster_no_clip_no_amgrad_is_the_mean() -> None:
    """Everything switched off must recover FedAvg."""
    round = attacked_round()
    result = Fedward(amgrad="off", cluster="none", clip="none")(round)
    assert result.accepted.all()
    torch.testing.assert_close(result.update, round.updates.mean(dim=0))
    assert "bound" not in result.facts
    assert "eps" not in result.facts


def test_unsorted_bound_is_the_literal_index() -> None:
    round = attacked_round()
    result = Fedward(eps="kth", clip="unsorted")(round)
    index = int(result.accepted.sum()) - 1
    assert result.facts["bound"] == pytest.approx(float(round.updates[index].norm()))


def test_authors_variant() -> None:
    round = attacked_round()
    result = FedwardAuthors()(round)
    expected, cap = sign_sum(round.updates, result.accepted)
    assert torch.equal(result.update, expected)
    assert result.facts["bound"] == cap
    assert result.facts["min_samples"] == 5
    assert not result.accepted[:4].any()


def ternary(row: Tensor) -> list[float]:
    """Entry by entry: what is at most half of its layer's largest becomes zero first."""
    amplified = []
    for columns in LAYOUT.slices:
        layer = row[columns].tolist()
        peak = max(map(abs, layer))
        amplified += [math.copysign(peak, x) if abs(x) > peak / 2 else 0.0 for x in layer]
    return amplified


@given(st.integers(0, 39))
def test_the_authors_cluster_ternary_vectors(seed: int) -> None:
    """By scikit-learn, whose walk is begun at the densest client as ours is."""
    rows = mixed_rows(seed)
    vectors = np.array([ternary(row) for row in rows])
    gaps = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    sorted_gaps = np.sort(gaps)
    # Ten clients: min_samples is 5, itself counted; eps is the median of entries 5.
    order = np.lexsort((sorted_gaps[:, 5], sorted_gaps[:, 4]))
    oracle = OPTICS(
        min_samples=5,
        metric="precomputed",
        cluster_method="dbscan",
        eps=float(np.median(sorted_gaps[:, 5])),
    )
    labels = oracle.fit(gaps[order][:, order]).labels_
    sizes = np.bincount(labels[labels >= 0])
    largest = np.sort(order[labels == sizes.argmax()])
    accepted = FedwardAuthors()(make_round(rows, LAYOUT)).accepted
    assert accepted.nonzero().flatten().tolist() == largest.tolist()


def test_scaling_an_attacker_does_not_widen_the_bound() -> None:
    """The bound is an order statistic: one huge norm cannot move it beyond the group."""
    round = attacked_round()
    huge = round.updates.clone()
    huge[0] *= 1e6
    defense = Fedward(eps="kth")
    before, after = defense(round), defense(replace(round, updates=huge))
    assert torch.equal(before.accepted, after.accepted)
    assert after.facts["bound"] == pytest.approx(before.facts["bound"])


@pytest.mark.parametrize("rule", ["nearest-others", "kth", "authors"])
@pytest.mark.parametrize("factor", [1e3, 1e9, 1e14, 1e16, 1e22, 1e30])
@pytest.mark.parametrize("seed", range(3))
def test_one_attacker_far_away_does_not_admit_the_others(
    rule: EpsRule, factor: float, seed: int
) -> None:
    """If the farthest client set the unit of rounding, all others would be one point."""
    round = attacked_round(seed)
    far = round.updates.clone()
    far[0] *= factor
    result = Fedward(eps=rule)(replace(round, updates=far))
    assert not result.accepted[:4].any()
    plain = Fedward(eps=rule)(round)
    if plain.held is None:
        assert torch.equal(plain.accepted, result.accepted)


def test_unknown_option_names_the_known() -> None:
    with pytest.raises(ValueError, match="nearest-others"):
        Fedward(eps="nearest")  # type: ignore[arg-type]
