"""The state of a run as safetensors, with its JSON in the header: one file, one rename."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fedward.simulation.records import State


class CheckpointError(ValueError):
    """A checkpoint that cannot be continued from."""


def to_bytes(key: str, engine: str, state: State, sizes: Mapping[str, int]) -> bytes:
    """A state, what made it, and the sizes of the line files that belong to it."""
    tensors = {"params": state.params.cpu().contiguous()}
    if state.previous is not None:
        tensors["previous"] = state.previous.cpu().contiguous()
    tensors |= {f"memory.{name}": t.cpu().contiguous() for name, t in state.memory.items()}
    header = {
        "key": key,
        "engine": engine,
        "next_round": state.next_round,
        "sizes": dict(sizes),
    }
    return save(tensors, metadata={"fedward": json.dumps(header)})


def read_checkpoint(path: Path, key: str, engine: str) -> tuple[State, dict[str, int]]:
    """The inverse of `to_bytes`.

    Raises:
        CheckpointError: if the file is damaged, belongs to another configuration, or was
            made by another engine, whose rounding is another.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["fedward"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of Fedward: {error}; begin the run anew, with "
            "'fedward run --restart' or without its folder"
        ) from error
    if header["key"] != key:
        raise CheckpointError(
            f"{path} belongs to the run with key {header['key']}, not to {key}: "
            "the settings differ; use another folder or start anew"
        )
    if header["engine"] != engine:
        raise CheckpointError(
            f"{path} was made by the engine {header['engine']!r}, got {engine!r}; a run "
            "goes on bit for bit with its own engine only: choose it, or start anew"
        )
    memory = {
        name.removeprefix("memory."): tensor
        for name, tensor in tensors.items()
        if name.startswith("memory.")
    }
    previous = tensors.get("previous")
    return State(tensors["params"], previous, memory, header["next_round"]), header["sizes"]


def params_hash(params: Float[Tensor, " params"]) -> str:
    """SHA-256 of the parameters' bytes: equal if and only if every bit is."""
    return hashlib.sha256(params.cpu().contiguous().numpy().tobytes()).hexdigest()
