"""Flower's array records <-> the rows that a defence works on.

Bytes from a client are hostile. They are never handed to ``numpy.load``, which allocates
what a header promises before it looks at the data, and which also opens zip archives: the
header is read, held against what is expected to the last byte, and only then the data are
viewed. Nothing is ever unpickled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from jaxtyping import Float
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from fedward.layout import Layout

BUFFERS = ("*running_mean", "*running_var", "*num_batches_tracked")
"""Names of PyTorch's batch normalisation statistics; not parameters, though floating."""

NEVER_NEGATIVE = ("*running_var", "*moving_variance", "*num_batches_tracked")
"""Names of buffers that are variances or counters, whoever made them."""

HEADER_BYTES = 4096
"""Longest header of an array that is read; NumPy's own are about a hundred bytes."""


class Refused(ValueError):
    """A reply that cannot be used; the message is the reason in its verdict."""


@dataclass(frozen=True)
class GlobalModel:
    """What was sent to the clients, taken apart.

    Attributes:
        names: of all arrays, in the order of the record.
        dtypes: of all arrays, by name.
        layout: the floating-point parameters; these are clustered and clipped.
        params: their values, float64 if one of them is, else float32.
        buffers: all other arrays; these are only combined over the accepted.
    """

    names: tuple[str, ...]
    dtypes: Mapping[str, np.dtype[Any]]
    layout: Layout
    params: Float[Tensor, " params"]
    buffers: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, arrays: ArrayRecord, patterns: Sequence[str] = BUFFERS) -> "GlobalModel":
        """Take a record apart; arrays that are not floating point are always buffers.

        Args:
            arrays: the server's own, so trusted.
            patterns: names of buffers, with ``*`` for anything.

        Raises:
            ValueError: if no array is a floating-point parameter.
        """
        held = {name: array.numpy() for name, array in arrays.items()}
        floats = {
            name: values
            for name, values in held.items()
            if values.dtype.kind == "f"
            and not any(fnmatchcase(name, pattern) for pattern in patterns)
        }
        if not floats:
            raise ValueError(
                "a model to defend needs a floating-point parameter, "
                f"got arrays {', '.join(held) or '(none)'}"
            )
        layout = Layout(tuple(floats), tuple(values.shape for values in floats.values()))
        double = any(values.dtype.itemsize > 4 for values in floats.values())
        dtype = np.float64 if double else np.float32
        flat = [values.astype(dtype).reshape(-1) for values in floats.values()]
        return cls(
            names=tuple(held),
            dtypes={name: values.dtype for name, values in held.items()},
            layout=layout,
            params=torch.from_numpy(np.concatenate(flat)),
            buffers={name: held[name] for name in held if name not in floats},
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one array."""
        if name in self.buffers:
            return self.buffers[name].shape
        return self.layout.shapes[self.layout.names.index(name)]

    def decode(self, record: ArrayRecord) -> dict[str, NDArray[Any]]:
        """The arrays of a client's record, each exactly as the global model's.

        Raises:
            Refused: if an array is missing, extra, or not what was asked for.
        """
        missing = [name for name in self.names if name not in record]
        if missing:
            raise Refused(f"array {missing[0]!r} is missing")
        if len(record) > len(self.names):
            raise Refused(f"{len(record)} arrays, the model has {len(self.names)}")
        return {
            name: decode(name, record[name], self.dtypes[name], self.shape(name))
            for name in self.names
        }

    def write_update(
        self, arrays: Mapping[str, NDArray[Any]], row: Float[Tensor, " params"]
    ) -> None:
        """Local minus global parameters, written into a row."""
        for name, columns in zip(self.layout.names, self.layout.slices, strict=True):
            local = arrays[name].reshape(-1).astype(row.numpy().dtype, copy=False)
            np.subtract(local, self.params[columns].numpy(), out=row[columns].numpy())

    def moved(
        self,
        update: Float[Tensor, " params"],
        buffers: Mapping[str, NDArray[Any]] | None = None,
    ) -> ArrayRecord:
        """The global model after an update, in the types and the order it came in."""
        parts = self.layout.unflatten(self.params + update.to(self.params.dtype))
        values: dict[str, NDArray[Any]] = {k: part.numpy() for k, part in parts.items()}
        values |= self.buffers if buffers is None else buffers
        return to_record(values, self.names, self.dtypes)


def to_record(
    values: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    dtypes: Mapping[str, np.dtype[Any]],
) -> ArrayRecord:
    """Arrays by name as a record, in this order and in these types.

    What does not fit its type becomes infinite; whoever applies it has to look.
    """
    with np.errstate(over="ignore"):
        held = {n: np.asarray(values[n], dtypes[n], order="C") for n in names}
    return ArrayRecord({name: Array(array) for name, array in held.items()})


def decode(
    name: str, array: Array, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """A read-only view of a client's array, if it is exactly what was asked for.

    Raises:
        Refused: if its size, format, type or shape is another.
    """
    if array.stype != "numpy.ndarray":
        raise Refused(f"array {name!r} is not in NumPy's format")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(array.data) > size + HEADER_BYTES:
        raise Refused(f"array {name!r} has {len(array.data)} bytes, {size} are its own")
    stream = BytesIO(array.data)
    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        found, fortran, kind = read[npy.read_magic(stream)](stream, HEADER_BYTES)
    # NumPy's reader of headers raises whatever Python's tokenizer and parser do.
    except Exception:
        raise Refused(f"array {name!r} is not in NumPy's format") from None
    if kind != dtype:
        raise Refused(f"array {name!r} needs type {dtype}, got {kind}")
    if found != shape:
        raise Refused(f"array {name!r} needs shape {shape}, got {found}")
    start = stream.tell()
    if len(array.data) - start != size:
        raise Refused(f"array {name!r} has {len(array.data) - start} bytes, needs {size}")
    values = np.frombuffer(array.data, dtype=dtype, offset=start)
    return values.reshape(shape, order="F" if fortran else "C")


def combine(
    accepted: Sequence[Mapping[str, NDArray[Any]]], buffers: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Buffers over the accepted clients: the median of every entry.

    What a minority of them sends does not take an entry out of the range of the others'.
    Of an even number, the middle two's mean is taken in floating point and the lower one
    of all other types, which stay values that a client has sent.
    """
    if not accepted:
        return dict(buffers)
    combined: dict[str, NDArray[Any]] = {}
    for name, kept in buffers.items():
        values = np.stack([client[name] for client in accepted])
        if kept.dtype.kind == "f":
            middle = np.median(values.astype(np.float64), axis=0)
        else:
            middle = np.sort(values, axis=0)[(len(values) - 1) // 2]
        combined[name] = np.asarray(middle, kept.dtype)
    return combined


def negative(name: str, values: NDArray[Any], before: NDArray[Any]) -> bool:
    """Whether a variance or a counter has become negative; no honest client's does."""
    impossible = any(fnmatchcase(name, pattern) for pattern in NEVER_NEGATIVE)
    return impossible and bool(np.any(values < 0)) and not np.any(before < 0)
