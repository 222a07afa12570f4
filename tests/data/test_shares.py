import re

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from fedward.data.shares import (
    authors_counts,
    dealt,
    dirichlet_shares,
    exact_counts,
    group_shares,
    redrawn,
)

drawn = settings(max_examples=40, deadline=None)
seeds = st.integers(0, 10_000)


def doubles(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@drawn
@given(seed=seeds, alpha=st.floats(0.01, 1e6), clients=st.integers(1, 30))
def test_exact_counts_use_every_image_and_follow_the_shares(
    seed: int, alpha: float, clients: int
) -> None:
    sizes = torch.tensor([0, 1, 17, 400])
    shares = dirichlet_shares(alpha, 4, clients, seed, "here")
    counts = exact_counts(shares, sizes)
    assert counts.sum(dim=1).equal(sizes)
    assert counts.min() >= 0
    assert (counts - shares * sizes[:, None]).abs().max() < 1 + 1e-9


def test_exact_counts_by_hand() -> None:
    # Cumulative shares .25 .5 1 of 10 images cut at 2, 5 and 10.
    counts = exact_counts(doubles([0.25, 0.25, 0.5]), torch.tensor([10]))
    assert counts.tolist() == [[2, 3, 5]]


def test_authors_counts_by_hand() -> None:
    # Class 0: 2.5 and 2.5 round to even, 5 stays; one image is never used. Class 1 is
    # scaled by the size of class 0 as well, so its 4 images run out: 6 wanted, 4 left.
    shares = doubles([0.25, 0.25, 0.5], [0.6, 0.1, 0.3])
    counts = authors_counts(shares, torch.tensor([10, 4]))
    assert counts.tolist() == [[2, 2, 5], [4, 0, 0]]


@drawn
@given(seed=seeds, alpha=st.floats(0.05, 5), sizes=st.lists(st.integers(0, 90), min_size=1))
def test_authors_counts_are_those_of_taking_turns(
    seed: int, alpha: float, sizes: list[int]
) -> None:
    shares = dirichlet_shares(alpha, len(sizes), 7, seed)
    naive = []
    for row, left in zip(shares.tolist(), sizes, strict=True):
        taken = []
        for share in row:
            taken.append(min(round(share * sizes[0]), left))
            left -= taken[-1]
        naive.append(taken)
    assert authors_counts(shares, torch.tensor(sizes)).tolist() == naive


def test_group_shares_by_hand() -> None:
    shares = group_shares(torch.tensor([0, 1, 0]), classes=2, q=0.8)
    assert torch.allclose(shares, doubles([0.4, 0.2, 0.4], [0.1, 0.8, 0.1]), atol=1e-15)


@drawn
@given(q=st.floats(0, 1), classes=st.integers(2, 12), more=st.integers(0, 20))
def test_group_shares_sum_to_one(q: float, classes: int, more: int) -> None:
    group = torch.arange(classes + more) % classes
    shares = group_shares(group, classes, q)
    assert (shares.sum(dim=1) - 1).abs().max() < 1e-12
    own = torch.stack([shares[k, group == k].sum() for k in range(classes)])
    assert (own - q).abs().max() < 1e-12


@pytest.mark.parametrize("alpha", [0.25, 3.0])
def test_shares_have_the_moments_of_a_dirichlet(alpha: float) -> None:
    clients = 20
    shares = dirichlet_shares(alpha, 5000, clients, 1, "moments")
    variance = (1 / clients) * (1 - 1 / clients) / (clients * alpha + 1)
    assert (shares.sum(dim=1) - 1).abs().max() < 1e-12
    assert torch.allclose(shares.mean(dim=0), doubles([1 / clients]), rtol=0.15)
    assert float(shares.var()) == pytest.approx(variance, rel=0.05)


def test_shares_belong_to_their_stream() -> None:
    one = dirichlet_shares(0.5, 3, 4, 1, "a")
    assert one.equal(dirichlet_shares(0.5, 3, 4, 1, "a"))
    assert not one.equal(dirichlet_shares(0.5, 3, 4, 2, "a"))
    assert not one.equal(dirichlet_shares(0.5, 3, 4, 1, "b"))


def test_redrawn_takes_the_first_that_is_large_enough() -> None:
    draws = [torch.tensor([[5, 0]]), torch.tensor([[3, 2]]), torch.tensor([[4, 4]])]
    assert redrawn(lambda attempt: draws[attempt], 2, "Some").tolist() == [[3, 2]]
    assert redrawn(lambda attempt: draws[attempt], 0, "Some").tolist() == [[5, 0]]


def test_redrawn_gives_up_with_a_reason() -> None:
    complaint = re.escape("Some(x=1) needs to give each of 2 clients at least 1 image(s)")
    with pytest.raises(ValueError, match=complaint):
        redrawn(lambda attempt: torch.tensor([[5, 0]]), 1, "Some(x=1)")


@drawn
@given(seed=seeds)
def test_dealt_shards_have_the_counts_and_share_nothing(seed: int) -> None:
    labels = torch.tensor([0, 1, 1, 0, 2, 1, 1])
    counts = torch.tensor([[1, 0], [1, 3], [0, 0]])
    shards = dealt(labels, counts, seed, "here")
    mixes = [labels[shard].bincount(minlength=3).tolist() for shard in shards]
    assert mixes == counts.T.tolist()
    together = torch.cat(shards)
    assert len(set(together.tolist())) == len(together) == 5
    assert all(shard.equal(shard.sort().values) for shard in shards)


def test_every_image_is_dealt_as_often_as_its_like() -> None:
    labels = torch.zeros(6, dtype=torch.int64)
    counts = torch.tensor([[2, 1]])
    hits = torch.zeros(2, 6)
    for seed in range(600):
        for client, shard in enumerate(dealt(labels, counts, seed, "here")):
            hits[client, shard] += 1
    # Binomial with 600 draws: means 200 and 100, five standard deviations 58 and 46.
    assert (hits[0] - 200).abs().max() < 58
    assert (hits[1] - 100).abs().max() < 46
