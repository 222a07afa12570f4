"""Randomness has a name, not a position.

A stream is addressed by the run's seed and a path of names, such as
``stream(seed, "round", 7, "client", 3, "batches")``. Nothing has to be saved to resume,
and no draw depends on how many were made before it.
"""

import hashlib

import numpy as np
import torch


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed from a seed and a path; every element counts, with its type."""
    text = repr((int(seed), *path)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def stream(seed: int, *path: str | int) -> torch.Generator:
    """A CPU generator that belongs to this path alone."""
    return torch.Generator().manual_seed(derive(seed, *path))


def numpy_stream(seed: int, *path: str | int) -> np.random.Generator:
    """The same for the distributions that torch draws only from its global state."""
    return np.random.Generator(np.random.PCG64(derive(seed, *path)))
