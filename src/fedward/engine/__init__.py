"""Local training: plans in, updates out. Knows nothing of attacks, defences or files."""

from collections.abc import Mapping
from types import MappingProxyType

from fedward.engine.loop import Reference as Reference
from fedward.engine.parallel import Parallel as Parallel
from fedward.engine.seam import Engine as Engine
from fedward.engine.stacked import Stacked as Stacked
from fedward.engine.together import Together as Together

ENGINES: Mapping[str, type[Engine]] = MappingProxyType(
    {"reference": Reference, "parallel": Parallel, "stacked": Stacked}
)
"""Settings of every engine by name; ``ENGINES["parallel"](workers=2)`` is one to call."""


def default_engine(device: str) -> Engine:
    """The engine for a device such as ``"cpu"`` or ``"cuda:0"``."""
    return Parallel() if device == "cpu" else Stacked()
