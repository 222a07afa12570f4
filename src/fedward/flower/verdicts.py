"""What a defence decides on the replies of a round, as functions of both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

from fedward.buffer import UpdateBuffer
from fedward.protocol import Aggregation, Defense, Sparsity, hold
from fedward.seeds import stream

T = TypeVar("T")


def decide(
    defense: Defense,
    arrived: UpdateBuffer,
    params: Float[Tensor, " params"],
    index: int,
    seed: int,
    memory: Mapping[str, Tensor],
) -> Aggregation:
    """Ask the defence, if there are enough updates; else the round is held.

    Args:
        arrived: the usable updates.
        params: the global model.
        index: number of the round, from 0.
        seed: the server's.
        memory: what the defence remembers.
    """
    generator = stream(seed, "round", index, "defense")
    round = arrived.round(params, index=index, generator=generator, memory=memory)
    needs, usable = defense.needs, len(arrived)
    if usable < needs:
        name = type(defense).__name__
        return hold(round, f"{name} needs at least {needs} usable updates, got {usable}")
    return defense(round)


def sparsity(defense: Defense) -> Sparsity:
    """Of the signatures that a defence uses, where it uses any."""
    return "ternary" if getattr(defense, "amgrad", None) == "ternary" else "dense"


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
