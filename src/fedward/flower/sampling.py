"""Which nodes a strategy samples, made a function of the seed and the nodes alone.

Flower draws from Python's global generator over node ids in no particular order, so a run
that is started again would ask other nodes than one that was not interrupted.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's global generator begins at this seed inside, and is put back after."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


class SortedNodes(Grid):
    """A grid whose node ids come in ascending order; all else is the inner grid's."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def get_node_ids(self) -> Iterable[int]:
        """Ids of all connected nodes, ascending."""
        return sorted(self._grid.get_node_ids())

    def set_run(self, run: Any) -> None:
        """As the inner grid."""
        self._grid.set_run(run)

    @property
    def run(self) -> Any:
        """As the inner grid's."""
        return self._grid.run

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        """As the inner grid."""
        return self._grid.create_message(*args, **kwargs)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As the inner grid."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As the inner grid."""
        return self._grid.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """As the inner grid."""
        return self._grid.send_and_receive(messages, timeout=timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)
