"""A defence without a simulator or a server: updates in, one update and verdicts out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing
import torch
from torch import Tensor, nn

from fedward.buffer import UpdateBuffer
from fedward.defenses.fedward import Fedward
from fedward.layout import Layout
from fedward.protocol import Aggregation, Defense, Round
from fedward.seeds import stream

Array = Tensor | np.typing.NDArray[np.floating[Any]]
Updates = Array | Sequence[Mapping[str, Array]] | UpdateBuffer


def aggregate(
    updates: Updates,
    layout: Layout | nn.Module | Mapping[str, Array] | None = None,
    defense: Defense | None = None,
    *,
    weights: Sequence[float] | None = None,
    params: Array | None = None,
    clients: Sequence[int] | None = None,
    index: int = 0,
    seed: int = 0,
    memory: Mapping[str, Tensor] | None = None,
) -> Aggregation:
    """Decide one round.

    Args:
        updates: local model minus global model, one row a client, shape (clients, params);
            or one mapping of named arrays a client; or a buffer that holds them already,
            with its own layout, weights and clients.
        layout: which columns are which layer: a `Layout`, the model itself, or a mapping
            of named arrays. Mappings as updates bring their own; without any, all columns
            are one layer.
        defense: default `Fedward`.
        weights: sample counts that the clients report; default all equal.
        params: the global model, for defences that look at it; default zeros.
        clients: identities, for defences that remember; default 0, 1, ...
        index: number of the round.
        seed: for defences that add noise.
        memory: `Aggregation.memory` of the round before.

    Raises:
        ValueError: if the parts do not fit together.
    """
    generator = stream(seed, "round", index, "defense")
    if isinstance(updates, UpdateBuffer):
        if layout is not None or weights is not None or clients is not None:
            raise ValueError("a buffer brings its own layout, weights and clients")
        held = None if params is None else _tensor(params)
        return (defense or Fedward())(
            updates.round(held, index=index, generator=generator, memory=memory)
        )
    found, rows = _rows(updates, layout)
    count = len(rows)
    return (defense or Fedward())(
        Round(
            updates=rows,
            weights=torch.ones(count) if weights is None else torch.tensor(list(weights)),
            params=torch.zeros_like(rows[0]) if params is None else _tensor(params),
            layout=found,
            clients=torch.arange(count) if clients is None else torch.tensor(list(clients)),
            index=index,
            generator=generator,
            memory=memory or {},
        )
    )


def _rows(
    updates: Array | Sequence[Mapping[str, Array]],
    layout: Layout | nn.Module | Mapping[str, Array] | None,
) -> tuple[Layout, Tensor]:
    """The layout and the matrix."""
    if isinstance(updates, Tensor | np.ndarray):
        rows = _tensor(updates)
        if rows.ndim != 2 or len(rows) == 0:
            raise ValueError(
                "updates need shape (clients, params) with at least one client, "
                f"got {tuple(rows.shape)}"
            )
        return _layout(layout) or Layout.flat(rows.shape[1]), rows
    named = [{name: _tensor(a) for name, a in client.items()} for client in updates]
    if not named:
        raise ValueError("updates need at least one client, got none")
    found = _layout(layout) or Layout.of(named[0])
    return found, torch.stack([found.flatten(client) for client in named])


def _layout(layout: Layout | nn.Module | Mapping[str, Array] | None) -> Layout | None:
    if isinstance(layout, Mapping):
        return Layout.of({name: _tensor(array) for name, array in layout.items()})
    return Layout.of(layout) if isinstance(layout, nn.Module) else layout


def _tensor(array: Array) -> Tensor:
    """A tensor of the same values; NumPy's memory is shared, and never written to."""
    if isinstance(array, Tensor):
        return array
    # from_numpy warns of read-only arrays, which are what a careful caller hands over.
    return torch.from_numpy(array if array.flags.writeable else array.copy())
