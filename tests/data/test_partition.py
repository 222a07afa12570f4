import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from fedward.data.partition import (
    IID,
    PARTITIONS,
    Dirichlet,
    DirichletAuthors,
    Grouped,
    MainLabel,
    Partition,
    class_mix,
    rarity,
)
from fedward.settings import UnknownName, build

EVERY: dict[str, Partition] = {
    "iid": IID(),
    "dirichlet": Dirichlet(alpha=0.5),
    "dirichlet-authors": DirichletAuthors(alpha=0.5),
    "grouped": Grouped(q=0.5),
    "main-label": MainLabel(degree=0.5),
}
COMPLETE = sorted(set(EVERY) - {"dirichlet-authors"})

drawn = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 10_000)
clients_ = st.integers(4, 25)


def uneven(seed: int, images: int = 600, classes: int = 4) -> Tensor:
    """Labels in which every class appears, some much more than others."""
    chance = torch.Generator().manual_seed(seed)
    weights = torch.arange(1, classes + 1).double()
    rest = torch.multinomial(weights, images - classes, True, generator=chance)
    return torch.cat((torch.arange(classes), rest))


def balanced(images: int, classes: int = 10) -> Tensor:
    return torch.arange(images) % classes


def sizes(shards: list[Tensor]) -> Tensor:
    return torch.tensor([len(shard) for shard in shards])


def test_every_name_has_a_law_abiding_case() -> None:
    assert set(EVERY) == set(PARTITIONS)
    assert all(type(EVERY[name]) is made for name, made in PARTITIONS.items())


@pytest.mark.parametrize("name", EVERY)
@drawn
@given(seed=seeds, clients=clients_)
def test_shards_are_disjoint_ascending_in_range_and_not_empty(
    name: str, seed: int, clients: int
) -> None:
    labels = uneven(seed)
    before = labels.clone()
    shards = EVERY[name](labels, 4, clients, seed)
    together = torch.cat(shards)
    assert labels.equal(before)
    assert len(shards) == clients
    assert int(sizes(shards).min()) >= 1
    assert len(set(together.tolist())) == len(together)
    assert 0 <= int(together.min()) <= int(together.max()) < len(labels)
    assert all(shard.equal(shard.sort().values) for shard in shards)


@pytest.mark.parametrize("name", COMPLETE)
@drawn
@given(seed=seeds, clients=clients_)
def test_every_image_is_used(name: str, seed: int, clients: int) -> None:
    labels = uneven(seed)
    assert sum(sizes(EVERY[name](labels, 4, clients, seed))) == len(labels)


@pytest.mark.parametrize("name", EVERY)
@drawn
@given(seed=seeds)
def test_the_seed_decides(name: str, seed: int) -> None:
    labels = uneven(1)
    one, same, other = (EVERY[name](labels, 4, 5, s) for s in (seed, seed, seed + 1))
    assert all(a.equal(b) for a, b in zip(one, same, strict=True))
    assert not all(a.equal(b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["iid", "main-label"])
@drawn
@given(seed=seeds, clients=clients_)
def test_sizes_differ_by_one_at_most(name: str, seed: int, clients: int) -> None:
    held = sizes(EVERY[name](uneven(seed), 4, clients, seed))
    assert int(held.max() - held.min()) <= 1


@pytest.mark.parametrize(
    "like_iid",
    [IID(), Dirichlet(alpha=1e9), DirichletAuthors(alpha=1e9), Grouped(q=0.1),
     MainLabel(degree=0.0)],
)  # fmt: skip
def test_the_even_end_of_every_family_is_iid(like_iid: Partition) -> None:
    labels = balanced(20_000)
    mix = class_mix(like_iid(labels, 10, 10, 0), labels, 10)
    # 200 images of each class for each client; chance moves a count by sqrt(200) = 14.
    assert (mix - 200).abs().max() < 5 * math.sqrt(200)
    assert rarity(mix).max() < 0.1


@pytest.mark.parametrize(
    "by_class",
    [Grouped(q=1.0), MainLabel(degree=1.0)],
)
def test_the_uneven_end_of_a_family_is_one_class_a_client(by_class: Partition) -> None:
    labels = balanced(2_000)
    mix = class_mix(by_class(labels, 10, 20, 0), labels, 10)
    assert ((mix > 0).sum(dim=1) == 1).all()
    assert (mix > 0).sum(dim=0).tolist() == [2] * 10
    assert torch.allclose(rarity(mix), torch.tensor(0.9).double(), atol=0.01)


def test_a_small_alpha_gives_a_class_to_few_clients() -> None:
    labels = balanced(5_000)
    mixes = [
        class_mix(Dirichlet(alpha=alpha, min_size=0)(labels, 10, 10, 0), labels, 10)
        for alpha in (0.01, 0.1, 1.0, 100.0)
    ]
    # Share of a class that its largest holder has; 1/10 were all holders equal.
    shares = [float(mix.max(dim=0).values.double().mean()) / 500 for mix in mixes]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] < 0.15


@pytest.mark.parametrize(("alpha", "top"), [(0.25, 0.49), (0.5, 0.38), (0.75, 0.32)])
@pytest.mark.parametrize("kind", [Dirichlet, DirichletAuthors])
def test_sizes_have_the_statistics_of_the_paper_s_protocol(
    kind: type[Dirichlet] | type[DirichletAuthors], alpha: float, top: float
) -> None:
    # CIFAR-10: 10 classes of 5,000 images, 100 clients. A client's size is a sum of ten
    # independent parts 5000 p with var p = (1/K)(1 - 1/K) / (K alpha + 1). The shares of
    # the top class were measured on the authors' split.
    labels = balanced(50_000)
    mixes = torch.cat(
        [
            class_mix(kind(alpha=alpha)(labels, 10, 100, seed), labels, 10)
            for seed in range(8)
        ]
    )
    held = mixes.sum(dim=1).double()
    expected = math.sqrt(10 * 5000**2 * 0.01 * 0.99 / (100 * alpha + 1))
    assert float(held.mean()) == pytest.approx(500, rel=0.01)
    assert float(held.std()) == pytest.approx(expected, rel=0.08)
    assert float((mixes.max(dim=1).values / held).mean()) == pytest.approx(top, abs=0.02)


def test_min_size_is_kept() -> None:
    labels = balanced(1_000)
    smallest = [
        int(sizes(Dirichlet(alpha=0.3, min_size=least)(labels, 10, 10, 5)).min())
        for least in (0, 40)
    ]
    assert smallest[0] < 40 <= smallest[1]


def test_authors_split_takes_the_size_of_class_0_for_all() -> None:
    # 60 of class 0 and 600 of class 1: shares of 60 leave nine tenths of class 1 unused.
    labels = torch.tensor([0] * 60 + [1] * 600)
    mix = class_mix(DirichletAuthors(alpha=50)(labels, 2, 4, 0), labels, 2).sum(dim=0)
    assert 56 <= int(mix[0]) <= 60
    assert 56 <= int(mix[1]) <= 64


def test_grouped_sends_an_image_to_its_group_with_probability_q() -> None:
    labels = balanced(40_000)
    mix = class_mix(Grouped(q=0.4)(labels, 10, 20, 3), labels, 10)
    own = mix.argmax(dim=1)
    assert own.bincount().tolist() == [2] * 10
    at_home = mix[torch.arange(20), own].sum() / len(labels)
    # Binomial: five standard deviations of a share of 0.4 in 40,000 are 0.012.
    assert float(at_home) == pytest.approx(0.4, abs=0.0125)
    abroad = mix.scatter(1, own[:, None], 0).sum() / (len(labels) * 90 / 10)
    assert float(abroad) == pytest.approx(0.6 / 9, abs=0.002)


def test_groups_and_main_classes_are_not_in_the_order_of_the_clients() -> None:
    labels = balanced(10_000)
    for partition in (Grouped(q=0.9), MainLabel(degree=0.9)):
        mains = [
            class_mix(partition(labels, 10, 20, seed), labels, 10).argmax(dim=1).tolist()
            for seed in range(3)
        ]
        assert len({tuple(main) for main in mains}) == 3
        assert all(main != sorted(main) for main in mains)


def test_which_main_class_has_a_client_more_is_chance() -> None:
    labels = balanced(1100)
    partition = MainLabel(degree=1.0)
    doubled = set()
    for seed in range(8):
        mains = class_mix(partition(labels, 10, 11, seed), labels, 10).argmax(dim=1)
        counts = mains.bincount(minlength=10)
        assert counts.sort().values.tolist() == [1] * 9 + [2]
        doubled.add(int(counts.argmax()))
    assert len(doubled) > 2


def test_the_rest_of_a_main_label_split_is_mixed_whatever_the_order_of_the_images() -> None:
    # Without mixing, sorted labels would fill the first clients up with class 0.
    labels = balanced(4000).sort().values
    mix = class_mix(MainLabel(degree=0.0)(labels, 10, 10, 0), labels, 10)
    assert (mix > 20).all()


def test_main_label_has_degree_plus_its_part_of_the_rest() -> None:
    # Expected share of the main class: degree + (1 - degree) / classes.
    labels = balanced(20_000)
    mix = class_mix(MainLabel(degree=0.5)(labels, 10, 20, 1), labels, 10)
    share = mix.max(dim=1).values / mix.sum(dim=1)
    assert (share >= 0.5).all()
    assert float(share.mean()) == pytest.approx(0.55, abs=0.01)


@pytest.mark.parametrize("images", [29, 53, 58])
def test_a_share_of_a_hundred_images_is_that_many(images: int) -> None:
    # 0.53 x 100 is less than 53 in single precision. Two clients of 100; classes 0 and 1
    # have just the images that their main share takes.
    labels = torch.tensor([0] * images + [1] * images + [2] * (200 - 2 * images))
    met = 0
    for seed in range(30):
        only = class_mix(MainLabel(degree=1.0)(labels, 3, 2, seed), labels, 3)
        if only[:, 2].tolist() != [100 - images] * 2:
            continue  # somebody's main class is 2
        mix = class_mix(MainLabel(degree=images / 100)(labels, 3, 2, seed), labels, 3)
        assert sorted(mix[:, 0].tolist()) == sorted(mix[:, 1].tolist()) == [0, images]
        met += 1
    assert met > 1


def test_a_scarce_main_class_is_shared_evenly() -> None:
    # Four clients of 25; classes 0 and 1 are the main classes of two each, and class 1 has
    # only 20 images, 10 for each of its two.
    labels = torch.tensor([0] * 80 + [1] * 20)
    mix = class_mix(MainLabel(degree=1.0)(labels, 2, 4, 0), labels, 2)
    assert sorted(mix[:, 1].tolist()) == [0, 0, 10, 10]
    assert mix.sum(dim=1).tolist() == [25] * 4


@pytest.mark.parametrize("name", EVERY)
def test_refuses_what_cannot_be_shared_out(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1 client, got 0"):
        EVERY[name](balanced(40, 4), 4, 0, 0)
    with pytest.raises(ValueError, match=r"41 clients .* need 41 images, got 40"):
        EVERY[name](balanced(40, 4), 4, 41, 0)
    with pytest.raises(ValueError, match="4 classes need to be 0 to 3, got 0 to 9"):
        EVERY[name](balanced(40, 10), 4, 4, 0)


def test_refuses_what_one_family_cannot_share_out() -> None:
    with pytest.raises(ValueError, match="a client for each, got 10 and 9 clients"):
        Grouped(q=0.5)(balanced(100), 10, 9, 0)
    with pytest.raises(ValueError, match="images of class 0, got none"):
        DirichletAuthors(alpha=1.0)(torch.ones(9, dtype=torch.int64), 2, 3, 0)
    with pytest.raises(ValueError, match=r"Dirichlet\(alpha=0.001\) needs to give each"):
        Dirichlet(alpha=0.001)(balanced(500), 10, 50, 0)


def test_settings_refuse_values_out_of_range_and_unknown_names() -> None:
    for made, value in ((Dirichlet, {"alpha": 0}), (Grouped, {"q": 1.1}),
                        (MainLabel, {"degree": -0.1}), (DirichletAuthors, {"alpha": -1}),
                        (Dirichlet, {"alpha": 1, "min_size": -1}),
                        (Dirichlet, {"alpha": 1e307})):  # fmt: skip
        with pytest.raises(ValueError, match="validation error"):
            made(**value)
    with pytest.raises(UnknownName, match="Did you mean 'dirichlet'"):
        build("partition", "dirichle", PARTITIONS)


def test_class_mix_by_hand() -> None:
    labels = torch.tensor([0, 2, 2, 1])
    shards = [torch.tensor([0, 1, 2]), torch.tensor([], dtype=torch.int64)]
    assert class_mix(shards, labels, 4).tolist() == [[1, 0, 2, 0], [0, 0, 0, 0]]


def test_rarity_by_hand() -> None:
    # Together (6, 3, 3) / 12 = (1/2, 1/4, 1/4). Client 0 has (1, 0, 0): 1/2 away; client 1
    # has (0, 1/2, 1/2): 1/2 away; client 2 has the population's mix; client 3 has nothing.
    mix = torch.tensor([[4, 0, 0], [0, 2, 2], [2, 1, 1], [0, 0, 0]])
    assert rarity(mix).tolist() == [0.5, 0.5, 0.0, 0.0]


@drawn
@given(seed=seeds, clients=st.integers(1, 12), classes=st.integers(1, 6))
def test_rarity_is_between_0_and_1_and_the_largest_gap_in_probability(
    seed: int, clients: int, classes: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    mix = torch.randint(0, 9, (clients, classes), generator=chance)
    mix[:, 0] += 1
    shares = mix / mix.sum(dim=1, keepdim=True).double()
    population = mix.sum(dim=0) / mix.sum().double()
    # Total variation is also the largest gap in probability over all sets of classes.
    subsets = torch.tensor(
        [[bits >> k & 1 for k in range(classes)] for bits in range(2**classes)]
    ).double()
    largest = ((shares - population) @ subsets.T).max(dim=1).values
    assert torch.allclose(rarity(mix), largest, atol=1e-12)
    assert rarity(mix).max() < 1
