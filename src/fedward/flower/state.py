"""What a server needs to go on after a crash, in one file.

The arrays lie in a safetensors file and the rest as JSON in its header, so that one rename
replaces everything: whoever reads sees a round as finished or as not begun.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor

from fedward.simulation.folder import replace_file

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ServerState:
    """Everything that the next round depends on.

    Attributes:
        next_round: number of the next round, from 0.
        arrays: the global model.
        memory: what the defence remembers.
        strategy: arrays held by the wrapped strategy, as `strategy_arrays` returns them.
        lines: bytes of each file of lines when the round was finished.
        settings: plain values that a server going on must have too.
    """

    next_round: int
    arrays: ArrayRecord
    memory: Mapping[str, Tensor]
    strategy: Mapping[str, Any]
    lines: Mapping[str, int]
    settings: Mapping[str, Any]


def save_state(path: Path, state: ServerState) -> None:
    """Replace the file at once; a reader or a crash never sees half of it."""
    arrays: Arrays = {}
    header: dict[str, Any] = {
        "next_round": state.next_round,
        "lines": dict(state.lines),
        "settings": dict(state.settings),
        "strategy": {},
    }
    header["model"] = _flatten("model", state.arrays, arrays)
    memory = {name: tensor.numpy() for name, tensor in state.memory.items()}
    header["memory"] = _flatten("memory", memory, arrays)
    for name, value in state.strategy.items():
        header["strategy"][name] = _flatten(f"strategy/{name}", value, arrays)
    replace_file(path, save(arrays, metadata={"state": json.dumps(header)}))


def load_state(path: Path) -> ServerState:
    """The state that was saved last.

    Raises:
        FileNotFoundError: if none was.
        safetensors.SafetensorError: if the file is not one that `save_state` wrote.
    """
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["state"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    memory = _unflatten("memory", header["memory"], arrays)
    return ServerState(
        next_round=header["next_round"],
        arrays=_unflatten("model", header["model"], arrays),
        memory={name: torch.from_numpy(value) for name, value in memory.items()},
        strategy={
            name: _unflatten(f"strategy/{name}", form, arrays)
            for name, form in header["strategy"].items()
        },
        lines=header["lines"],
        settings=header["settings"],
    )


def array_kind(value: Any) -> str | None:
    """How a value holds arrays, or None if it does not."""
    if isinstance(value, ArrayRecord):
        return "record"
    if isinstance(value, np.ndarray):
        return "array"
    if isinstance(value, list) and value and _all_arrays(value):
        return "list"
    if isinstance(value, dict) and value and _all_arrays(value.values()):
        return "dict"
    return None


def _all_arrays(values: Any) -> bool:
    # Arithmetic on arrays of shape () gives NumPy's scalars.
    return all(isinstance(value, np.ndarray | np.generic) for value in values)


def _flatten(prefix: str, value: Any, into: Arrays) -> dict[str, Any]:
    """Add the arrays under names with this prefix; the form, to find them again."""
    kind = array_kind(value) or "dict"
    if kind == "record":
        items = {name: array.numpy() for name, array in value.items()}
    elif kind == "dict":
        items = dict(value)
    else:
        listed = [value] if kind == "array" else value
        items = {str(place): array for place, array in enumerate(listed)}
    # A file has no order of its own, and scalars become contiguous arrays of shape ().
    into |= {f"{prefix}/{k}": np.asarray(v, order="C") for k, v in items.items()}
    return {"kind": kind, "keys": list(items)}


def _unflatten(prefix: str, form: Mapping[str, Any], arrays: Arrays) -> Any:
    items = {key: arrays[f"{prefix}/{key}"] for key in form["keys"]}
    if form["kind"] == "record":
        return ArrayRecord({key: Array(value) for key, value in items.items()})
    if form["kind"] == "dict":
        return items
    return items["0"] if form["kind"] == "array" else list(items.values())
