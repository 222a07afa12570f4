"""What becomes of a round in which a client's training raises."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from fedward.engine.seam import ClientFailed
from fedward.protocol import FAILED, Aggregation, Verdict

OnFailure = Literal["stop", "drop"]
"""The run ends and can be resumed; or the round is what it would have been had that client
not been selected. It decides no result of a run that nobody's failure disturbs, so it is no
part of a configuration."""

POLICIES: Mapping[str, OnFailure] = MappingProxyType({"stop": "stop", "drop": "drop"})
"""By the name that a user types."""

REASON_CHARACTERS = 200
"""Longest text of an error that is repeated in a verdict."""


def with_failures(
    decided: Aggregation, clients: list[int], failures: Mapping[int, ClientFailed]
) -> Aggregation:
    """The decision with a verdict for every client, those that sent nothing as well.

    Args:
        clients: all who were selected, in order; the decision knows those that sent a row.
        failures: of the others.
    """
    rows = iter(decided.verdicts)
    verdicts = tuple(
        no_update(failures[client]) if client in failures else next(rows)
        for client in clients
    )
    return replace(decided, verdicts=verdicts)


def no_update(failure: ClientFailed) -> Verdict:
    """The verdict on a client whose training raised, with the error's first line."""
    error = (str(failure.error).splitlines() or [type(failure.error).__name__])[0]
    reason = f"{FAILED}at step {failure.step}: {error[:REASON_CHARACTERS]}"
    return Verdict(accepted=False, reason=reason)
