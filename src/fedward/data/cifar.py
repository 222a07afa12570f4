"""The binary version of CIFAR-10, from its archive or from the unpacked folder.

A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. A record is one byte of label and 3 x 32 x 32
bytes of pixels, channel by channel; a batch file holds 10,000 records.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from fedward.data.images import DataError, Images

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"


def read_cifar10(path: Path, records: int = 10_000) -> tuple[Images, Images]:
    """Training and test images from ``cifar-10-binary.tar.gz`` or its unpacked folder.

    Args:
        path: the archive, which is read as it is, or the folder.
        records: how many a batch file needs to hold.

    Raises:
        DataError: naming the file, what it needs and what it got.
    """
    size = records * RECORD
    found = dict(_from_folder(path, size) if path.is_dir() else _from_archive(path, size))
    missing = [name for name in (*TRAIN, TEST) if name not in found]
    if missing:
        raise DataError(
            f"{path}: needs {', '.join((*TRAIN, TEST))}, lacks {', '.join(missing)}"
        )
    parts = {name: _decoded(f"{path}: {name}", data) for name, data in found.items()}
    train = Images(
        torch.cat([parts[name].pixels for name in TRAIN]),
        torch.cat([parts[name].labels for name in TRAIN]),
    )
    return train, parts[TEST]


def _from_folder(path: Path, size: int) -> Iterator[tuple[str, bytes]]:
    for name in (*TRAIN, TEST):
        if not (path / name).exists():
            continue
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            raise DataError(f"{path / name}: cannot be read ({error.strerror})") from error
        _require_size(f"{path}: {name}", len(data), size)
        yield name, data


def _from_archive(path: Path, size: int) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if name in (*TRAIN, TEST) else None
                if content is not None:
                    _require_size(f"{path}: {name}", member.size, size)
                    yield name, content.read()
            # The tar archive ends before its gzip stream, whose checksum comes last of all.
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path}: needs to be a whole .tar.gz archive, got a damaged or short one "
            f"({error})"
        ) from error


def _require_size(who: str, got: int, needed: int) -> None:
    if got != needed:
        raise DataError(
            f"{who} needs {needed} bytes, {needed // RECORD} records of {RECORD}, got {got}"
        )


def _decoded(who: str, data: bytes) -> Images:
    table = np.frombuffer(data, dtype=np.uint8).reshape(-1, RECORD)
    labels = torch.from_numpy(table[:, 0].astype(np.int64))
    if int(labels.max()) > 9:
        raise DataError(
            f"{who} needs labels 0 to 9, got {int(labels.max())} "
            f"in record {int(labels.argmax())}"
        )
    return Images(torch.from_numpy(table[:, 1:].reshape(-1, *SHAPE).copy()), labels)
