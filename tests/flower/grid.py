"""Messages in memory: a grid whose nodes are functions, and records by hand."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import uuid4

import numpy as np
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp import Grid
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Client = Callable[[Message], list[Message]]


def identify() -> None:
    """Since 1.39 or so, messages can only be made in a process that knows its task."""
    try:
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError:
        return
    TaskIdentity.run_id = 1
    TaskIdentity.node_id = 1
    TaskIdentity.task_id = 1


class Nodes(Grid):
    """Nodes that answer at once; replies come in an order that the test chooses."""

    def __init__(
        self,
        clients: Mapping[int, Client],
        order: Callable[[list[Message]], list[Message]] = list,
    ) -> None:
        identify()
        self.clients = clients
        self.order = order
        self.asked: list[list[int]] = []

    def get_node_ids(self) -> Iterable[int]:
        return list(self.clients)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        messages = list(messages)
        self.asked.append([message.metadata.dst_node_id for message in messages])
        for message in messages:
            message.metadata.__dict__["_message_id"] = str(uuid4())
        answered = [
            reply
            for message in messages
            for reply in self.clients[message.metadata.dst_node_id](message)
        ]
        return self.order(answered)

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError


def record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(values)) for name, values in arrays.items()})


def arrays_of(record: ArrayRecord) -> dict[str, NDArray[Any]]:
    return {name: array.numpy() for name, array in record.items()}


def sent(message: Message) -> dict[str, NDArray[Any]]:
    """The global model in a message."""
    return arrays_of(message.content.array_records["arrays"])


def round_of(message: Message) -> int:
    """Flower's number of the round."""
    number = message.content.config_records["config"]["server-round"]
    assert isinstance(number, int)
    return number


def reply(
    message: Message,
    arrays: Arrays | ArrayRecord,
    metrics: Mapping[str, Any] | None = None,
    **others: ConfigRecord | ArrayRecord | MetricRecord,
) -> Message:
    """A well-formed reply with whatever is in it."""
    held = arrays if isinstance(arrays, ArrayRecord) else record(arrays)
    numbers = MetricRecord({"num-examples": 10, **(metrics or {})})
    content = RecordDict({"arrays": held, "metrics": numbers, **others})
    return Message(content, reply_to=message)


def failed(message: Message, reason: str | None = "out of memory") -> Message:
    return Message(Error(code=1, reason=reason), reply_to=message)


def moving(update: Arrays) -> Client:
    """A client that adds the same to whatever it is sent."""

    def client(message: Message) -> list[Message]:
        model = sent(message)
        moved = {
            name: values + update[name] if name in update else values
            for name, values in model.items()
        }
        return [reply(message, moved)]

    return client


def draw(seed: int, names: Mapping[str, tuple[int, ...]], scale: float = 1.0) -> Arrays:
    """Normal float32 arrays."""
    generator = np.random.default_rng(seed)
    return {
        name: (scale * generator.standard_normal(shape)).astype(np.float32)
        for name, shape in names.items()
    }
