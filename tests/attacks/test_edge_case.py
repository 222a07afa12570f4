import pytest
import torch

from fedward.attacks.edge_case import EdgeCase
from fedward.attacks.poisoning import share_of
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import place, plan


def constant(*levels: int) -> torch.Tensor:
    """Images that are each of one grey."""
    return torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)


def test_the_rare_are_the_brightest_of_their_class() -> None:
    pixels = constant(9, 50, 7, 90, 60, 8, 255)
    labels = torch.tensor([7, 7, 7, 1, 7, 7, 0])
    # 40 % of five sevens are two: images 1 and 4; the brighter 3 and 6 are no sevens.
    assert EdgeCase(tail=0.4).rare(pixels, labels).tolist() == [1, 4]
    assert EdgeCase(tail=0.4, bright=False).rare(pixels, labels).tolist() == [2, 5]
    assert EdgeCase(tail=0.35).rare(pixels, labels).tolist() == [1, 4]  # of 1.75
    assert EdgeCase(tail=0.01).rare(pixels, labels).tolist() == [4]
    assert EdgeCase(tail=1).rare(pixels, labels).tolist() == [0, 1, 2, 4, 5]


def test_of_equals_the_first_is_rarer() -> None:
    labels = torch.full((4,), 7)
    for bright in (True, False):
        attack = EdgeCase(tail=0.5, bright=bright)
        assert attack.rare(constant(5, 5, 5, 5), labels).tolist() == [0, 1]


def test_a_share_of_every_batch_becomes_rare_images_with_the_wrong_label() -> None:
    where, attack = place(), EdgeCase(pdr=0.25, tail=0.3, source=7, target=1)
    pool = attack.rare(where.pixels, where.labels)
    honest = plan(where, LocalTraining(epochs=2, batch_size=50))
    bad = attack.poison(honest, where, stream(2))
    changed = (bad.indices != honest.indices) | (bad.labels != honest.labels)
    assert torch.isin(bad.indices[changed], pool).all()
    assert (bad.labels[torch.isin(bad.indices, pool)] == 1).all()
    kept = ~torch.isin(bad.indices, pool)
    assert torch.equal(bad.labels[kept], where.labels[bad.indices[kept]])
    for run in torch.split(torch.isin(bad.indices, pool), list(bad.sizes)):
        assert int(run.sum()) >= share_of(len(run), 0.25)
    assert bad.trigger is None
    assert not bad.stamped.any()
    assert set(bad.indices[torch.isin(bad.indices, pool)].tolist()) == set(pool.tolist())


def test_success_is_measured_on_the_rare_test_images() -> None:
    labels = torch.tensor([7, 7, 7, 7, 3])
    (probe,) = EdgeCase(tail=0.5, target=1).probes(constant(1, 2, 3, 4, 5), labels)
    assert (probe.name, probe.trigger) == ("whole", None)
    assert probe.indices.tolist() == [2, 3]
    assert probe.targets.tolist() == [1, 1]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="images of class 7, got none"):
        EdgeCase().rare(constant(1), torch.tensor([3]))
    with pytest.raises(ValueError, match="two classes, got 2 as source and target"):
        EdgeCase(source=2)
