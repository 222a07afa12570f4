"""The IDX format of MNIST and its siblings, plain or gzip.

Magic 00 00 08 NN (unsigned bytes, NN dimensions), NN big-endian 32-bit sizes, the bytes.
Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*,
http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import struct
import zlib
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from fedward.data.images import DataError, Images

GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Traversable, dimensions: int) -> UInt8[Tensor, "..."]:
    """The tensor in a file; gzip is recognised by its content, not by its name.

    Raises:
        DataError: naming the file, what it needs and what it got.
    """
    data = _unpacked(path)
    magic = bytes((0, 0, 8, dimensions))
    if data[:4] != magic:
        raise DataError(
            f"{path}: an IDX file of unsigned bytes in {dimensions} dimension(s) needs to "
            f"begin with {magic.hex(' ')}, got {data[:4].hex(' ') or 'an empty file'}"
        )
    begin = 4 + 4 * dimensions
    if len(data) < begin:
        raise DataError(f"{path}: needs a header of {begin} bytes, got {len(data)} in all")
    sizes = struct.unpack(f">{dimensions}I", data[4:begin])
    if len(data) - begin != math.prod(sizes):
        raise DataError(
            f"{path}: needs {math.prod(sizes)} bytes after its header, which announces "
            f"{' x '.join(map(str, sizes))}, got {len(data) - begin}"
        )
    values = np.frombuffer(data, dtype=np.uint8, offset=begin)
    return torch.from_numpy(values.reshape(sizes).copy())


def _unpacked(path: Traversable) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: needs to be a whole gzip file, got a damaged or short one ({error})"
        ) from error


def read_idx_images(pixels: Traversable, labels: Traversable, classes: int) -> Images:
    """Grey images and their labels from two files.

    Raises:
        DataError: naming the file, what it needs and what it got.
    """
    drawn, named = read_idx(pixels, 3), read_idx(labels, 1).long()
    if len(drawn) != len(named):
        raise DataError(
            f"{labels}: needs a label for each of the {len(drawn)} images in {pixels}, "
            f"got {len(named)}"
        )
    if len(named) and int(named.max()) >= classes:
        raise DataError(
            f"{labels}: needs labels 0 to {classes - 1}, got {int(named.max())} "
            f"at position {int(named.argmax())}"
        )
    return Images(drawn[:, None], named)


def write_idx(path: Path, values: UInt8[Tensor, "..."]) -> None:
    """A gzip file that depends on the values alone: no time and no name in its header."""
    header = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    data = header + values.cpu().contiguous().numpy().tobytes()
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))
