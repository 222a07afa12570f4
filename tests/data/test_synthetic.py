import torch

from fedward.data.synthetic import synthetic


def test_same_seed_same_images_other_seed_other_images() -> None:
    assert synthetic(seed=3).train.pixels.equal(synthetic(seed=3).train.pixels)
    assert not synthetic(seed=3).train.pixels.equal(synthetic(seed=4).train.pixels)


def test_training_and_test_images_differ() -> None:
    data = synthetic(train=50, test=50)
    assert not data.train.pixels.equal(data.test.pixels)


def test_classes_have_equal_parts() -> None:
    data = synthetic(classes=4, train=42, test=8)
    assert data.train.labels.bincount().tolist() == [11, 11, 10, 10]
    assert data.test.labels.bincount().tolist() == [2, 2, 2, 2]
    assert len(data.classes) == 4


def test_can_be_learnt_by_the_nearest_mean() -> None:
    data = synthetic()
    images = data.train.pixels.flatten(1).float()
    means = torch.stack([images[data.train.labels == k].mean(dim=0) for k in range(10)])
    nearest = torch.cdist(data.test.pixels.flatten(1).float(), means).argmin(dim=1)
    assert (nearest == data.test.labels).double().mean() > 0.95
