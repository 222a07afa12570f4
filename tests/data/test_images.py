import jaxtyping
import pytest
import torch

from fedward.data.images import DataError, Dataset, Images


def some(count: int = 4, side: int = 3, labels: list[int] | None = None) -> Images:
    pixels = torch.arange(count * side * side).to(torch.uint8).view(count, 1, side, side)
    named = [0, 1] * 2 if labels is None else labels
    return Images(pixels, torch.tensor(named, dtype=torch.int64))


def test_knows_its_size_and_shape() -> None:
    images = some()
    assert len(images) == 4
    assert images.shape == (1, 3, 3)


def test_images_move_as_a_whole() -> None:
    moved = some().to("meta")
    assert moved.pixels.device.type == moved.labels.device.type == "meta"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sets_move_as_a_whole() -> None:
    data = Dataset("tiny", some(), some(), ("a", "b"))
    moved = data.to("cuda")
    parts = (moved.train, moved.test)
    assert all(t.is_cuda for part in parts for t in (part.pixels, part.labels))
    assert moved.to("cpu").train.pixels.equal(data.train.pixels)


@pytest.mark.parametrize(
    ("pixels", "labels", "complaint"),
    [
        (torch.zeros(2, 1, 3, 3), torch.zeros(2).long(), "uint8.*float32"),
        (
            torch.zeros(2, 3, 3).byte(),
            torch.zeros(2).long(),
            r"got torch.uint8.*\(2, 3, 3\)",
        ),
        (torch.zeros(2, 1, 3, 3).byte(), torch.zeros(2), "int64.*float32"),
        (torch.zeros(2, 1, 3, 3).byte(), torch.zeros(2, 1).long(), r"int64.*\(2, 1\)"),
        (torch.zeros(2, 1, 3, 3).byte(), torch.zeros(3).long(), "2 images and 3 labels"),
    ],
)
def test_refuses_parts_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    complaint: str,
) -> None:
    # As in production, where annotations are not checked.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(DataError, match=complaint):
        Images(pixels, labels)


@pytest.mark.parametrize(
    ("train", "test", "complaint"),
    [
        (some(), some(0, labels=[]), "tiny needs test images, got none"),
        (
            some(labels=[0, 1, 2, 0]),
            some(),
            "training labels need to be 0 to 1, got 0 to 2",
        ),
        (some(), some(labels=[0, -1, 1, 0]), "test labels need to be 0 to 1, got -1 to 1"),
        (some(), some(side=2), r"one shape, got \(1, 3, 3\) and \(1, 2, 2\)"),
    ],
)
def test_refuses_sets_that_do_not_fit(train: Images, test: Images, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        Dataset("tiny", train, test, ("a", "b"))
