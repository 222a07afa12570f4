"""What older releases of Flower lack; the tests of it are skipped there.

In continuous integration, on the pinned release, all has to be there.
"""

import os
from importlib.metadata import version
from typing import Any

import pytest
from flwr.serverapp import strategy as strategies
from flwr.serverapp.strategy import FedAvg

RELEASE = tuple(int(part) for part in version("flwr").split(".")[:2])

EXAMPLE = (1, 41)
"""Oldest release whose commands the example and the test of a deployment use."""


def lacking(what: str) -> str:
    """The reason to skip; not in continuous integration.

    Raises:
        ImportError: there.
    """
    reason = f"flwr {version('flwr')} {what}"
    if os.environ.get("CI") == "true":
        raise ImportError(reason)
    return reason


def needs_commands() -> None:
    """Skip the module or test where Flower's commands have other options."""
    if RELEASE < EXAMPLE:
        pytest.skip(lacking("has other commands"), allow_module_level=True)


def needs_scalars() -> None:
    """Skip the test where FedAdam cannot make an `Array` of NumPy's scalars."""
    if RELEASE < (1, 28):
        pytest.skip(lacking("has a FedAdam for which every array needs a dimension"))


def released(name: str) -> Any:
    """The class of Flower's with this name, or one that skips the test that makes it."""
    found = getattr(strategies, name, None)
    if found is not None:
        return found
    reason = lacking(f"has no {name}")

    def skip(*_: Any, **__: Any) -> None:
        pytest.skip(reason)

    return type(name, (FedAvg,), {"__init__": skip})


FedAvgM = released("FedAvgM")
