"""What a defence decides about a round, if it can be a decision about it."""

from fedward.protocol import Aggregation, Defense, Round


def decision(by: Defense, round: Round) -> Aggregation:
    """What the defence returns.

    Raises:
        ValueError: if update or verdicts are not what a round needs.
    """
    made, wanted = by(round), round.params
    if (made.update.shape, made.update.dtype) != (wanted.shape, wanted.dtype):
        raise ValueError(
            f"{type(by).__name__} needs to return an update of shape {tuple(wanted.shape)} "
            f"and {wanted.dtype}, got {tuple(made.update.shape)} and {made.update.dtype}"
        )
    if len(made.verdicts) != len(round.updates):
        raise ValueError(
            f"{type(by).__name__} needs to return {len(round.updates)} verdicts, got "
            f"{len(made.verdicts)}"
        )
    return made
