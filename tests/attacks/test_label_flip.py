import pytest
import torch

from fedward.attacks.label_flip import LabelFlip
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import place, plan


def test_every_image_of_the_class_and_no_other_is_flipped() -> None:
    where = place()
    honest = plan(where, LocalTraining(epochs=2))
    bad = LabelFlip(source=7, target=4).poison(honest, where, stream(1))
    pairs = set(zip(where.labels[bad.indices].tolist(), bad.labels.tolist(), strict=True))
    assert pairs == {(k, 4 if k == 7 else k) for k in range(10)}
    assert torch.equal(bad.indices, honest.indices)


def test_success_is_measured_on_the_class() -> None:
    labels = torch.tensor([7, 1, 7, 4])
    pixels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8)
    (probe,) = LabelFlip(source=7, target=4).probes(pixels, labels)
    assert probe.indices.tolist() == [0, 2]
    assert probe.targets.tolist() == [4, 4]


def test_a_class_does_not_flip_to_itself() -> None:
    with pytest.raises(ValueError, match="two classes, got 3"):
        LabelFlip(source=3, target=3)
