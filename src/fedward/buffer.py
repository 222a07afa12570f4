"""A round's updates, written into one matrix as they arrive.

A list of updates that is stacked at the end of a round costs their size twice, and six
times the time of their mean. Here each is written to its row, and its signature is made
while it is at hand, so that what is left at the end is to cluster and to average.
"""

import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fedward.layout import Layout
from fedward.ops.paging import WINDOW, forget, watch
from fedward.ops.signatures import SignatureTable
from fedward.protocol import Round, Sparsity
from fedward.seeds import stream

Update = Tensor | np.typing.NDArray[np.floating[Any]] | Mapping[str, Tensor]

GIB = 1 << 30


class NotFinite(ValueError):
    """An update that holds NaN or Inf, or more than single precision does."""


@dataclass(frozen=True)
class _Held:
    """Where a client's update is, and how many samples the client says it is of."""

    row: int
    weight: float


class UpdateBuffer:
    """Room for the updates of one round after the other.

    Beside the updates it holds their signatures, a 32nd of their size, or a 16th where
    entries are zero.

    Attributes:
        layout: which columns are which layer.
        mapped: whether the updates are in a temporary file and not in memory.

    Args:
        capacity: most clients of a round.
        dtype: of the updates kept, single or double precision.
        sparsity: of the signatures, as the defence's ``amgrad``.
        resident: bytes of updates that may be in memory. If all of them may need more, they
            are kept in a temporary file, and no more of it than this is in memory while it
            is written, or read by a defence of this library.
        limit: largest size of all updates in bytes.
        folder: where the temporary file is made; by default the system's. It has no name,
            and its space is free again when the buffer is closed or the process ends.

    Raises:
        ValueError: if all updates may need more bytes than ``limit``.
    """

    def __init__(
        self,
        layout: Layout,
        capacity: int,
        *,
        dtype: torch.dtype = torch.float32,
        sparsity: Sparsity = "dense",
        resident: int = 4 * GIB,
        limit: int = 64 * GIB,
        folder: str | Path | None = None,
    ) -> None:
        if capacity < 1 or dtype not in (torch.float32, torch.float64):
            raise ValueError(
                "a buffer needs room for a client, and float32 or float64 updates; "
                f"got {capacity} clients of {dtype}"
            )
        size = capacity * layout.params * dtype.itemsize
        if size > limit:
            raise ValueError(
                f"{capacity} updates of {layout.params} entries need {size} bytes, "
                f"at most {limit} are allowed"
            )
        self.layout = layout
        self.mapped = size > resident
        self._file: IO[bytes] | None = None
        if not self.mapped:
            self._rows = torch.empty(capacity, layout.params, dtype=dtype)
        else:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            self._file.truncate(size)
            mapping = mmap.mmap(self._file.fileno(), size)
            flat = torch.frombuffer(mapping, dtype=dtype)
            self._rows = flat.view(capacity, layout.params)
            watch(self._rows, mapping, resident)
        self._sparsity = sparsity
        self.clear()

    def clear(self, expected: Sequence[int] | None = None) -> None:
        """Forget the updates; rounds that were made of them must not be used any more.

        Args:
            expected: the clients of the next round, in the order that their rows are to
                have whenever they arrive; by default the order of arrival.

        Raises:
            ValueError: if there is no room for so many, or one is named twice.
        """
        capacity = len(self._rows)
        places = None
        if expected is not None:
            places = {client: row for row, client in enumerate(expected)}
            if not len(places) == len(expected) <= capacity:
                raise ValueError(
                    f"a buffer for {capacity} clients needs at most as many, each named "
                    f"once; got {len(expected)}"
                )
        self._places = places
        self._signatures = SignatureTable.empty(capacity, self.layout, self._sparsity)
        self._held: dict[int, _Held] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def updates(self) -> Float[Tensor, "clients params"]:
        """What arrived; a view, in the order of arrival, or the one that was asked for.

        Where an order was asked for, nothing can be added after.
        """
        self._close_gaps()
        return self._rows[: len(self)]

    def add(self, client: int, update: Update, weight: float = 1.0) -> float:
        """Keep one client's update.

        Args:
            client: who sent it.
            update: a row, or its layers by name.
            weight: samples that the client says it trained on.

        Returns:
            The update's L2 norm.

        Raises:
            ValueError: if the buffer is full, the client has sent one already or is not
                expected, or the update has another size. Nothing is kept then.
            NotFinite: if it holds NaN or Inf, or what single precision does not. Nothing is
                kept then.
        """
        if client in self._held:
            raise ValueError(f"client {client} has sent an update already")
        row = self._free_row(client)
        entries = self._entries(update)
        if entries.shape != self._rows[row].shape:
            raise ValueError(
                f"the update of client {client} needs {self.layout.params} entries in one "
                f"dimension, got shape {tuple(entries.shape)}"
            )
        self._signatures.write(row, entries)
        if not self._signatures.usable(row):
            self._signatures.wipe(row)
            raise NotFinite(f"the update of client {client} holds NaN or Inf")
        self._write(row, entries)
        self._held[client] = _Held(row, weight)
        return float(self._signatures.norms[row])

    def discard(self, client: int) -> None:
        """Take back what a client has sent.

        Raises:
            KeyError: if nothing of it is kept.
        """
        self._signatures.wipe(self._held.pop(client).row)

    def _free_row(self, client: int) -> int:
        """Where a client's update is to be written."""
        if self._places is not None:
            if self._closed:
                raise ValueError(f"the round is made already; client {client} is too late")
            if client not in self._places:
                raise ValueError(f"client {client} is not expected")
            return self._places[client]
        # Without an order, rows are in that of arrival, which is the dictionary's.
        last = next(reversed(self._held.values()), None)
        row = 0 if last is None else last.row + 1
        if row == len(self._rows):
            self._close_gaps()
            row = len(self)
        if row == len(self._rows):
            raise ValueError(
                f"the buffer is full with {len(self)} updates; client {client} has no room"
            )
        return row

    def _close_gaps(self) -> None:
        """Move rows up to where nobody's are, in their order, if there are any."""
        in_order = sorted(self._held.items(), key=lambda item: item[1].row)
        for row, (_, held) in enumerate(in_order):
            if held.row != row:
                self._move(held.row, row)
        self._held = {
            client: _Held(row, held.weight) for row, (client, held) in enumerate(in_order)
        }
        self._closed = True

    def _move(self, row: int, to: int) -> None:
        self._signatures.move(row, to)
        if self._file is None:
            self._rows[to] = self._rows[row]
            return
        size = self.layout.params * self._rows.dtype.itemsize
        for begin in range(0, size, WINDOW):
            step = min(WINDOW, size - begin)
            data = os.pread(self._file.fileno(), step, row * size + begin)
            self._put(memoryview(data), to * size + begin)

    def _entries(self, update: Update) -> Tensor:
        if isinstance(update, Mapping):
            update = self.layout.flatten(update)
        if isinstance(update, np.ndarray):
            # from_numpy warns of read-only arrays.
            update = torch.from_numpy(update if update.flags.writeable else update.copy())
        return update.detach().to("cpu", self._rows.dtype).contiguous()

    def _write(self, row: int, entries: Float[Tensor, " params"]) -> None:
        """Through the file and not the mapping, which would become resident."""
        if self._file is None:
            self._rows[row] = entries
            return
        self._put(entries.numpy().view(np.uint8).data, row * entries.nbytes)

    def _put(self, left: memoryview, place: int) -> None:
        """Write bytes to a place in the file."""
        assert self._file is not None
        while len(left):
            # In larger pieces, Linux would keep the file in larger pieces, and make one of
            # them resident, up to two megabytes, round every byte that is read.
            written = os.pwrite(self._file.fileno(), left[:WINDOW], place)
            left, place = left[written:], place + written

    def round(
        self,
        params: Float[Tensor, " params"] | None = None,
        *,
        index: int = 0,
        generator: torch.Generator | None = None,
        memory: Mapping[str, Tensor] | None = None,
    ) -> Round:
        """What arrived, with its signatures; valid until `clear` or `close`.

        Args:
            params: the global model; default zeros.
            index: number of the round.
            generator: for defences that add noise; default that of seed 0.
            memory: `Aggregation.memory` of the round before.
        """
        if params is None:
            params = torch.zeros(self.layout.params, dtype=self._rows.dtype)
        # First, since it brings clients and weights into the order of the rows.
        updates = self.updates
        return Round(
            updates=updates,
            weights=torch.tensor([held.weight for held in self._held.values()]),
            params=params,
            layout=self.layout,
            clients=torch.tensor(list(self._held), dtype=torch.int64),
            index=index,
            generator=generator or stream(0, "round", index, "defense"),
            memory=memory or {},
            signatures=self._signatures.first(len(self)),
        )

    def close(self) -> None:
        """Give memory and file back; the buffer cannot be used any more."""
        if self._file is not None:
            forget(self._rows)
            self._file.close()
        self._rows = self._rows.new_empty(0, self.layout.params)
        self.clear()

    def __enter__(self) -> "UpdateBuffer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
