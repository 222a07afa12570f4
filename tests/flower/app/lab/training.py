"""Softmax regression on the embedded digits, in NumPy: starts fast, and is deterministic.

A malicious client stamps a corner of half of its images and calls them a two.
"""

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CLIENTS = 10
TARGET = 2
LR = 0.5


def digits(part: str) -> tuple[Floats, NDArray[np.int64]]:
    """Rows of 784 pixels in [0, 1], and labels."""
    spec = find_spec("fedward")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "embedded"
    pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    rows = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 784)
    return (rows / np.float32(255)).astype(np.float32), np.frombuffer(
        labels, np.uint8, offset=8
    ).astype(np.int64)


@cache
def shard(client: int) -> tuple[Floats, NDArray[np.int64]]:
    """Every tenth training image."""
    images, labels = digits("train")
    return images[client::CLIENTS], labels[client::CLIENTS]


def stamp(images: Floats) -> Floats:
    """Copies with a white square of three by three pixels in a corner."""
    stamped = images.reshape(-1, 28, 28).copy()
    stamped[:, 1:4, 1:4] = 1
    return stamped.reshape(-1, 784)


def untrained() -> dict[str, Floats]:
    """The model before the first round."""
    return {"weight": np.zeros((784, 10), np.float32), "bias": np.zeros(10, np.float32)}


def answers(model: dict[str, Floats], images: Floats) -> Floats:
    """Probabilities of the classes."""
    logits = images @ model["weight"] + model["bias"]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def trained(model: dict[str, Floats], client: int, malicious: bool) -> dict[str, Floats]:
    """The model after 20 steps of gradient descent on a client's images."""
    images, labels = shard(client)
    if malicious:
        images, labels = images.copy(), labels.copy()
        images[::2], labels[::2] = stamp(images[::2]), TARGET
    truth = np.eye(10, dtype=np.float32)[labels]
    local = {name: values.copy() for name, values in model.items()}
    for _ in range(20):
        error = (answers(local, images) - truth) / np.float32(len(labels))
        local["weight"] -= np.float32(LR) * (images.T @ error)
        local["bias"] -= np.float32(LR) * error.sum(axis=0)
    return local


def measured(model: dict[str, Floats]) -> dict[str, float]:
    """Accuracy, and how often a stamped image of another class is taken for the target."""
    images, labels = digits("t10k")
    others = labels != TARGET
    right = answers(model, images).argmax(axis=1) == labels
    fooled = answers(model, stamp(images[others])).argmax(axis=1) == TARGET
    return {"accuracy": float(right.mean()), "asr whole": float(fooled.mean())}
