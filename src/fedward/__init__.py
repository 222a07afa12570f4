"""Keep backdoors out of federated learning, and prove with numbers that they are out."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedward.aggregation import aggregate as aggregate
    from fedward.buffer import UpdateBuffer as UpdateBuffer
    from fedward.defenses import DEFENSES as DEFENSES
    from fedward.defenses.fedward import Fedward as Fedward
    from fedward.defenses.mean import FedAvg as FedAvg
    from fedward.layout import Layout as Layout
    from fedward.protocol import (
        Aggregation as Aggregation,
        Defense as Defense,
        Round as Round,
        Verdict as Verdict,
    )

# PyTorch takes seconds to load. The command line has to answer Ctrl-C before that, and
# cannot while the package it is in is being imported: so a name is loaded when it is used.
_PLACES = {
    "DEFENSES": "defenses",
    "Aggregation": "protocol",
    "Defense": "protocol",
    "FedAvg": "defenses.mean",
    "Fedward": "defenses.fedward",
    "Layout": "layout",
    "Round": "protocol",
    "UpdateBuffer": "buffer",
    "Verdict": "protocol",
    "aggregate": "aggregation",
}

__all__ = list(_PLACES)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A public name, loaded now."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The public names too, whether or not they are loaded."""
        return sorted({*globals(), *_PLACES})
