"""What is asked of the strategy inside a `Defended`, and what it remembers.

It sees a single reply a round. A strategy may hold another one, as Flower's wrappers for
differential privacy do; what is said here goes for all of them.
"""

from collections.abc import Callable, Mapping
from copy import copy, deepcopy
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from flwr.serverapp.strategy import Strategy

from fedward.flower.state import array_kind

UNFIT = MappingProxyType(
    {
        **dict.fromkeys(
            ("Bulyan", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum"),
            "chooses among the replies itself: pass the rule as defense",
        ),
        "Defended": "judges single replies itself: one is enough",
        "DifferentialPrivacy*": "adds noise that is meant for the mean of all sampled "
        "clients, each clipped, and not of those that a defense accepts",
        "FedXgb*": "collects the clients' trees, which have no mean",
        "QFedAvg": "weighs every reply by its own loss",
    }
)
"""Strategies that need single replies, with what they do with them. Names, with ``*`` for
anything, because the first releases with this interface lack some of them."""


def nested(strategy: Strategy) -> dict[str, Strategy]:
    """A strategy and those that it holds, the outermost first.

    By the names on the way, each with a dot behind it; that of the outermost is empty.
    """
    found: dict[str, Strategy] = {}
    waiting = [("", strategy)]
    while waiting:
        path, part = waiting.pop(0)
        if any(part is known for known in found.values()):
            continue
        found[path] = part
        waiting += [
            (f"{path}{name}.", value)
            for name, value in vars(part).items()
            if isinstance(value, Strategy)
        ]
    return found


def check(strategy: Strategy) -> None:
    """See that a strategy can work on a single reply.

    Raises:
        ValueError: if it, or one that it holds, needs the clients' own.
    """
    for part in nested(strategy).values():
        names = [made.__name__ for made in type(part).__mro__]
        for pattern, why in UNFIT.items():
            if any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(
                    f"{type(part).__name__} {why}; wrap FedAvg or another strategy "
                    "that applies the mean of the replies"
                )


def title(strategy: Strategy) -> str:
    """The name of a strategy's class, and in brackets of those that it holds."""
    first, *others = [type(part).__name__ for part in nested(strategy).values()]
    return f"{first}({', '.join(others)})" if others else first


def setting(strategy: Strategy, name: str, default: str) -> str:
    """An attribute of the outermost strategy that has it."""
    values = (getattr(part, name, None) for part in nested(strategy).values())
    return next((str(value) for value in values if value is not None), default)


def strategy_arrays(strategy: Strategy) -> dict[str, Any]:
    """The attributes that hold arrays: momenta, second moments, models; by dotted name.

    Arrays, records, and non-empty lists and dictionaries of arrays are found; numbers are
    settings, which a restarted server may change.
    """
    return {
        f"{path}{name}": value
        for path, part in nested(strategy).items()
        for name, value in vars(part).items()
        if array_kind(value)
    }


def restore_strategy(strategy: Strategy, held: Mapping[str, Any]) -> None:
    """Put the arrays back."""
    parts = nested(strategy)
    for dotted, value in held.items():
        path, dot, name = dotted.rpartition(".")
        setattr(parts[f"{path}{dot}"], name, value)


def remembered(strategy: Strategy) -> Callable[[], None]:
    """What puts a strategy back as it is now.

    Arrays, lists, dictionaries and sets are copied, since a strategy may change them where
    they are; other objects are put back, not what happens inside them.
    """
    before = [
        (part, {name: _copied(value) for name, value in vars(part).items()})
        for part in nested(strategy).values()
    ]

    def put_back() -> None:
        for part, attributes in before:
            vars(part).clear()
            vars(part).update(attributes)

    return put_back


def _copied(value: Any) -> Any:
    if array_kind(value):
        return deepcopy(value)
    return copy(value) if isinstance(value, list | dict | set) else value
