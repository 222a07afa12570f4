import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fedward.data.cifar import RECORD, TEST, TRAIN, read_cifar10
from fedward.data.images import DataError

Batches = dict[str, bytes]
Laid = Callable[[Path, dict[str, bytes]], Path]
COUNT = 2


def record(label: int, red: int, green: int, blue: int) -> bytes:
    return bytes([label]) + b"".join(bytes([level]) * 1024 for level in (red, green, blue))


@pytest.fixture
def batches() -> Batches:
    """Two records a batch; the batch's number is the red of its images."""
    return {
        name: record(number, number, 10, 20) + record(9, number, 30, 40)
        for number, name in enumerate((*TRAIN, TEST))
    }


def as_archive(folder: Path, batches: Batches, top: str = "cifar-10-batches-bin/") -> Path:
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {"readme.html": b"words", **batches}.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def as_folder(folder: Path, batches: Batches) -> Path:
    path = folder / "cifar-10-batches-bin"
    path.mkdir()
    for name, data in batches.items():
        (path / name).write_bytes(data)
    return path


def levels(image: torch.Tensor) -> list[set[int]]:
    return [set(channel) for channel in image.flatten(1).tolist()]


@pytest.mark.parametrize("laid", [as_archive, as_folder])
def test_reads_records_made_by_hand(tmp_path: Path, batches: Batches, laid: Laid) -> None:
    train, test = read_cifar10(laid(tmp_path, batches), COUNT)
    assert train.shape == test.shape == (3, 32, 32)
    assert train.labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert test.labels.tolist() == [5, 9]
    # The first of each pair is (number, 10, 20) all over, channel by channel.
    assert levels(train.pixels[6]) == [{3}, {10}, {20}]
    assert levels(test.pixels[1]) == [{5}, {30}, {40}]


def test_pixels_are_rows_from_the_top(tmp_path: Path, batches: Batches) -> None:
    ramp = bytes(position % 251 for position in range(RECORD - 1))
    batches[TEST] = bytes([0]) + ramp + record(1, 0, 0, 0)
    _, test = read_cifar10(as_folder(tmp_path, batches), COUNT)
    channel, row, column = 2, 5, 7
    expected = (channel * 1024 + row * 32 + column) % 251
    assert int(test.pixels[0, channel, row, column]) == expected


def test_archive_may_have_its_files_at_the_top(tmp_path: Path, batches: Batches) -> None:
    train, _ = read_cifar10(as_archive(tmp_path, batches, top=""), COUNT)
    assert len(train) == 10


@pytest.mark.parametrize("laid", [as_archive, as_folder])
@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (
            record(1, 0, 0, 0),
            "data_batch_3.bin needs 6146 bytes, 2 records of 3073, got 3073",
        ),
        (record(1, 0, 0, 0) * 2 + b"x", "data_batch_3.bin needs 6146 bytes.* got 6147"),
        (b"", "data_batch_3.bin needs 6146 bytes.* got 0"),
        (
            record(1, 0, 0, 0) + record(10, 0, 0, 0),
            "data_batch_3.bin needs labels 0 to 9, got 10 in record 1",
        ),
        (None, "lacks data_batch_3.bin"),
    ],
)
def test_names_the_batch_and_what_is_wrong(
    tmp_path: Path, batches: Batches, laid: Laid, data: bytes | None, complaint: str
) -> None:
    if data is None:
        del batches["data_batch_3.bin"]
    else:
        batches["data_batch_3.bin"] = data
    path = laid(tmp_path, batches)
    with pytest.raises(DataError, match=complaint) as caught:
        read_cifar10(path, COUNT)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 40, 200, -9])
def test_a_cut_archive_is_refused(tmp_path: Path, batches: Batches, keep: int) -> None:
    path = as_archive(tmp_path, batches)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz"):
        read_cifar10(path, COUNT)


def test_flipped_bytes_and_other_files_are_refused(
    tmp_path: Path, batches: Batches
) -> None:
    path = as_archive(tmp_path, batches)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"whole \.tar\.gz archive"):
        read_cifar10(path, COUNT)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"whole \.tar\.gz archive"):
        read_cifar10(path, COUNT)
    with pytest.raises(DataError, match=r"absent\.tar\.gz.*No such file"):
        read_cifar10(tmp_path / "absent.tar.gz", COUNT)


def test_a_batch_that_is_a_folder_is_refused(tmp_path: Path, batches: Batches) -> None:
    path = as_folder(tmp_path, batches)
    (path / TEST).unlink()
    (path / TEST).mkdir()
    with pytest.raises(DataError, match=r"test_batch\.bin: cannot be read"):
        read_cifar10(path, COUNT)
