"""What clients answered, judged before any of it is used.

A reply is used as a whole or not at all, and what is wrong with it is a verdict, never an
exception: no client can stop a round.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from statistics import mean
from typing import Any

import numpy as np
import torch
from flwr.app import ConfigRecord, Message, Metadata, MetricRecord, RecordDict
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass as settings
from torch import Tensor

from fedward.buffer import NotFinite, UpdateBuffer
from fedward.flower.arrays import GlobalModel, Refused, negative
from fedward.ops.distances import row_norms
from fedward.protocol import Verdict
from fedward.settings import STRICT

REASON_CHARACTERS = 200
"""Longest text of a client that is repeated in a verdict."""

log = getLogger("fedward.flower")


@settings(frozen=True, kw_only=True, config=STRICT)
class Limits:
    """Beyond these a reply is absurd, whatever the defence would think of it.

    Attributes:
        norm_ratio: norm of the update, in norms of the global model (at least 1).
        magnitude: largest absolute value of an entry of a buffer.
        samples: largest sample count that a client may claim.
        other_bytes: bytes of everything in a reply that is not an array.
    """

    norm_ratio: float = Field(default=1e3, gt=0)
    magnitude: float = Field(default=1e9, gt=0)
    samples: float = Field(default=1e9, gt=0)
    other_bytes: int = Field(default=1 << 20, ge=0)


@dataclass(frozen=True)
class Received:
    """The usable replies of a round, in ascending order of node; updates are in a buffer.

    Attributes:
        nodes: who sent each row.
        buffers: arrays of each reply that are not parameters.
        metrics: the other numbers that each client reported.
        refused: every node whose reply is not used, with the reason.
    """

    nodes: tuple[int, ...]
    buffers: tuple[Mapping[str, NDArray[Any]], ...]
    metrics: tuple[Mapping[str, float], ...]
    refused: Mapping[int, Verdict]


@dataclass(frozen=True)
class Asked:
    """Who was asked this round.

    Attributes:
        nodes: every node that a message went to.
        messages: node by message. Flower's grid gives replies out by the message that they
            answer, so this says whose a reply is, whatever the reply itself claims.
    """

    nodes: frozenset[int]
    messages: Mapping[str, int]

    @classmethod
    def of(cls, sent: Iterable[Metadata]) -> "Asked":
        """From the messages' metadata, after the grid has numbered them."""
        pairs = [(metadata.message_id, metadata.dst_node_id) for metadata in sent]
        return cls(
            frozenset(node for _, node in pairs),
            {message: node for message, node in pairs if message},
        )

    def with_sender(self, replies: Iterable[Message]) -> Iterator[tuple[int, Message]]:
        """Replies and the nodes that they come from.

        One that answers no message of the round is dropped if it bears the name of a node
        that was asked: it must not count as that node's second.
        """
        for reply in replies:
            claimed = reply.metadata.src_node_id
            node = self.messages.get(reply.metadata.reply_to_message_id)
            if node is None and self.messages and claimed in self.nodes:
                log.warning("a reply named node %d answers no message: dropped", claimed)
                continue
            yield claimed if node is None else node, reply


def receive(
    replies: Iterable[Message],
    asked: Asked,
    model: GlobalModel,
    into: UpdateBuffer,
    weight_key: str,
    limits: Limits,
) -> Received:
    """Keep what can be used of every reply as it comes, refuse the others and say why.

    A reply is let go of before the next one is taken.

    Args:
        replies: in any order.
        asked: who was asked; the others' replies are refused.
        model: what was sent.
        into: an empty buffer with room for all who were asked; their updates are in it
            afterwards, in ascending order of node.
        weight_key: where a reply holds its sample count.
        limits: what is absurd.
    """
    into.clear([signed(node) for node in sorted(asked.nodes)])
    size = max(1.0, float(row_norms(model.params[None])[0]))
    update = torch.empty_like(model.params)
    kept: dict[int, tuple[Mapping[str, NDArray[Any]], Mapping[str, float]]] = {}
    refused: dict[int, str] = {}
    answers: Counter[int] = Counter()
    for node, reply in asked.with_sender(replies):
        answers[node] += 1
        try:
            content = _content(reply, node, answers[node], asked, limits)
            buffers = _arrays(content, model, update, limits)
            samples, metrics = _numbers(content, weight_key, limits)
            _keep(into, node, update, samples, size, limits)
            kept[node] = buffers, metrics
        except Refused as refusal:
            refused[node] = str(refusal)
            if kept.pop(node, None) is not None:
                into.discard(signed(node))
    silent = dict.fromkeys(asked.nodes - answers.keys(), "no reply in time")
    nodes = tuple(sorted(kept))
    return Received(
        nodes=nodes,
        buffers=tuple(kept[node][0] for node in nodes),
        metrics=tuple(kept[node][1] for node in nodes),
        refused={
            node: Verdict(accepted=False, reason=why)
            for node, why in sorted((refused | silent).items())
        },
    )


def _content(
    reply: Message, node: int, answers: int, asked: Asked, limits: Limits
) -> RecordDict:
    """What a reply holds, if its node was asked, it is the only one, and no burden.

    Args:
        answers: how many replies of the node there are, this one among them.
    """
    if node not in asked.nodes:
        raise Refused("the node was not asked this round")
    if answers > 1:
        raise Refused(f"{answers} replies instead of one")
    if reply.has_error():
        raise Refused(f"the client failed: {printable(reply.error.reason)}")
    if reply.metadata.src_node_id != node:
        raise Refused("the reply names another node as its sender")
    content = reply.content
    others = [r for r in content.values() if isinstance(r, MetricRecord | ConfigRecord)]
    size = sum(record.count_bytes() for record in others)
    if size > limits.other_bytes:
        raise Refused(
            f"{size} bytes beside the arrays, at most {limits.other_bytes} allowed"
        )
    return content


def printable(text: str | None) -> str:
    """A client's words in one line that cannot forge another one or move a cursor."""
    words = " ".join((text or "no reason given").split())
    return "".join(c if c.isprintable() else "?" for c in words)[:REASON_CHARACTERS]


def _arrays(
    content: RecordDict,
    model: GlobalModel,
    update: Float[Tensor, " params"],
    limits: Limits,
) -> dict[str, NDArray[Any]]:
    """Write the update into a vector and return the other arrays, checked."""
    records = list(content.array_records.values())
    if len(records) != 1:
        raise Refused(f"{len(records)} array records instead of one")
    arrays = model.decode(records[0])
    model.write_update(arrays, update)
    for name in model.buffers:
        # A copy: a view would keep the reply's bytes alive.
        arrays[name] = arrays[name].copy()
        if not np.all(np.abs(arrays[name].astype(np.float64)) <= limits.magnitude):
            raise Refused(f"array {name!r} holds NaN or absurd values")
        if negative(name, arrays[name], model.buffers[name]):
            raise Refused(f"array {name!r} holds negative values")
    return {name: arrays[name] for name in model.buffers}


def _keep(
    into: UpdateBuffer,
    node: int,
    update: Float[Tensor, " params"],
    samples: float,
    size: float,
    limits: Limits,
) -> None:
    """Write an update to its row, if it is made of numbers and not too long.

    Args:
        size: norm of the global model, at least 1.
    """
    try:
        norm = into.add(signed(node), update, samples)
    except NotFinite:
        raise Refused("the update holds NaN or Inf") from None
    if norm > limits.norm_ratio * size:
        into.discard(signed(node))
        raise Refused(
            f"the update's norm is {norm:.3g}, over {limits.norm_ratio:g} times the model's"
        )


def signed(node: int) -> int:
    """Flower's 64 unsigned bits as the signed ones that a tensor holds."""
    return node - (1 << 64) if node >= 1 << 63 else node


def _numbers(
    content: RecordDict, weight_key: str, limits: Limits
) -> tuple[float, dict[str, float]]:
    """The sample count and the other numbers of a reply."""
    records = list(content.metric_records.values())
    if len(records) != 1:
        raise Refused(f"{len(records)} metric records instead of one")
    samples = records[0].get(weight_key)
    if not isinstance(samples, int | float):
        raise Refused(f"{weight_key!r} is not a number")
    # Written so that NaN is refused too.
    if not 0 < samples <= limits.samples:
        raise Refused(
            f"{weight_key!r} is {samples:g}, not between 0 and {limits.samples:g}"
        )
    others = {
        key: float(value)
        for key, value in records[0].items()
        if key != weight_key and isinstance(value, int | float) and math.isfinite(value)
    }
    return float(samples), others


def mean_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Unweighted means of what at least half of the clients report; claims, not facts.

    So a minority can neither take a metric away nor bring one in. A mean is over those who
    report it, and exact: however large the values, it is not infinite.
    """
    reporting = Counter(name for numbers in metrics for name in numbers)
    return {
        name: mean(numbers[name] for numbers in metrics if name in numbers)
        for name in sorted(reporting)
        if 2 * reporting[name] >= len(metrics)
    }


def usable_evaluations(
    replies: Iterable[Message], asked: Asked, weight_key: str, limits: Limits
) -> tuple[list[Message], dict[int, str]]:
    """Evaluation replies that cannot stop or steer the server, and who was refused why.

    Flower ends a run when the replies' metrics have different names. The names that most
    clients use are kept (the first in order on a tie), and every client counts once: a
    claimed sample count buys nothing.
    """
    held: dict[int, tuple[Message, dict[str, float]]] = {}
    refused: dict[int, str] = {}
    answers: Counter[int] = Counter()
    for node, reply in asked.with_sender(replies):
        answers[node] += 1
        try:
            content = _content(reply, node, answers[node], asked, limits)
            held[node] = (reply, _numbers(content, weight_key, limits)[1])
        except Refused as refusal:
            refused[node] = str(refusal)
            held.pop(node, None)
    held = dict(sorted(held.items()))
    names = [tuple(sorted(numbers)) for _, numbers in held.values()]
    common = max(sorted(set(names)), key=names.count, default=())
    usable = []
    for node, (reply, numbers) in held.items():
        if tuple(sorted(numbers)) != common:
            refused[node] = "metrics with other names than most clients'"
            continue
        record = MetricRecord({**numbers, weight_key: 1})
        usable.append(Message(RecordDict({"metrics": record}), reply_to=reply))
    return usable, refused
