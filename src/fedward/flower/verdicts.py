"""What a defence decides on the replies of a round, as functions of both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from fedward.flower.arrays import GlobalModel
from fedward.flower.replies import Received
from fedward.protocol import Aggregation, Defense, Round, hold
from fedward.seeds import stream

T = TypeVar("T")


def decide(
    defense: Defense,
    received: Received,
    model: GlobalModel,
    index: int,
    seed: int,
    memory: Mapping[str, Tensor],
) -> Aggregation:
    """Ask the defence, if there are enough updates; else the round is held.

    Args:
        index: number of the round, from 0.
        seed: the server's.
        memory: what the defence remembers.
    """
    round = Round(
        updates=received.updates,
        weights=received.weights,
        params=model.params,
        layout=model.layout,
        clients=torch.tensor([signed(n) for n in received.nodes], dtype=torch.int64),
        index=index,
        generator=stream(seed, "round", index, "defense"),
        memory=memory,
    )
    needs, usable = defense.needs, len(received.nodes)
    if usable < needs:
        name = type(defense).__name__
        return hold(round, f"{name} needs at least {needs} usable updates, got {usable}")
    return defense(round)


def accepted(values: Sequence[T], decided: Aggregation) -> list[T]:
    """Those of the rows that are used."""
    rows = zip(values, decided.verdicts, strict=True)
    return [value for value, verdict in rows if verdict.accepted]


def withheld(
    decided: Aggregation, reason: str, memory: Mapping[str, Tensor]
) -> Aggregation:
    """The same decision, not applied; the rejected keep their own reasons.

    Args:
        memory: what the defence goes on with, as if it had not been asked.
    """
    verdicts = tuple(
        replace(verdict, accepted=False, reason=reason) if verdict.accepted else verdict
        for verdict in decided.verdicts
    )
    return replace(decided, held=reason, verdicts=verdicts, memory=memory)


def signed(node: int) -> int:
    """Flower's 64 unsigned bits as the signed ones that a tensor holds."""
    return node - (1 << 64) if node >= 1 << 63 else node
