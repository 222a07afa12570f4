"""Local training: plans in, updates out. Knows nothing of attacks, defences or files."""

from collections.abc import Mapping
from types import MappingProxyType

from fedward.engine.loop import Reference
from fedward.engine.seam import Engine

ENGINES: Mapping[str, type[Engine]] = MappingProxyType({"reference": Reference})


def default_engine(device: str) -> Engine:
    """The engine that is best on a device, ready to call."""
    return Reference()
