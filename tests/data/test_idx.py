import gzip
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st

from fedward.data.idx import read_idx, read_idx_images, write_idx
from fedward.data.images import DataError

# Two 2 x 3 images by the letter of the format: magic, three big-endian sizes, the bytes.
TWO = bytes.fromhex("00000803 00000002 00000002 00000003") + bytes(range(12))


def put(folder: Path, data: bytes, name: str = "some-idx3-ubyte") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_a_file_made_by_hand(tmp_path: Path, pack: type[bytes]) -> None:
    values = read_idx(put(tmp_path, pack(TWO)), 3)
    assert values.dtype == torch.uint8
    assert values.equal(torch.arange(12, dtype=torch.uint8).view(2, 2, 3))


@settings(max_examples=30, deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_reads_back_what_it_wrote(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], seed: int
) -> None:
    path = tmp_path_factory.mktemp("idx") / "values.gz"
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    write_idx(path, values)
    assert read_idx(path, len(shape)).equal(values)


def test_a_written_file_depends_on_the_values_alone(tmp_path: Path) -> None:
    values = torch.arange(200, dtype=torch.uint8)
    for name in ("one.gz", "another.gz"):
        write_idx(tmp_path / name, values)
    one, another = ((tmp_path / name).read_bytes() for name in ("one.gz", "another.gz"))
    assert one == another
    assert one[4:8] == bytes(4), "the gzip header holds a time"
    assert not one[3] & 0b1000, "the gzip header holds a name"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "got an empty file"),
        (TWO[:3], "begin with 00 00 08 03, got 00 00 08$"),
        (b"\x00\x00\x08\x01" + TWO[4:], "begin with 00 00 08 03, got 00 00 08 01"),
        (b"\x00\x00\x0d\x03" + TWO[4:], "unsigned bytes.*got 00 00 0d 03"),
        (TWO[:10], "needs a header of 16 bytes, got 10 in all"),
        (TWO[:-1], "needs 12 bytes after its header, .* 2 x 2 x 3, got 11"),
        (TWO + b"\x00", "needs 12 bytes .* got 13"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "4294967295 x .* got 0"),
        (gzip.compress(TWO, mtime=0)[:-9], "damaged or short"),
        (gzip.compress(TWO, mtime=0)[:-3] + b"abc", "damaged or short"),
        (gzip.compress(TWO, mtime=0)[:12] + b"abcdefghijklmnop", "damaged or short"),
        (b"\x1f\x8b\x00", "damaged or short"),
    ],
)
def test_names_the_file_and_what_is_wrong(
    tmp_path: Path, data: bytes, complaint: str
) -> None:
    path = put(tmp_path, data)
    with pytest.raises(DataError, match=complaint) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.*No such file"):
        read_idx(tmp_path / "absent", 3)


def test_joins_images_and_labels(tmp_path: Path) -> None:
    labels = put(tmp_path, bytes.fromhex("00000801 00000002 0901"), "labels")
    images = read_idx_images(put(tmp_path, TWO), labels, classes=10)
    assert images.shape == (1, 2, 3)
    assert images.labels.tolist() == [9, 1]


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ("00000801 00000003 000102", "a label for each of the 2 images .* got 3"),
        ("00000801 00000002 010a", "labels 0 to 9, got 10 at position 1"),
    ],
)
def test_refuses_labels_that_do_not_fit(
    tmp_path: Path, labels: str, complaint: str
) -> None:
    path = put(tmp_path, bytes.fromhex(labels), "labels")
    with pytest.raises(DataError, match=complaint) as caught:
        read_idx_images(put(tmp_path, TWO), path, classes=10)
    assert str(path) in str(caught.value)
