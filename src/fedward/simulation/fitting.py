"""Whether what a defence returned can be a decision about its round."""

from fedward.protocol import Aggregation, Defense, Round


def fitting(decided: Aggregation, round: Round, by: Defense) -> Aggregation:
    """What a defence decided, if it can be a decision about this round.

    Raises:
        ValueError: if update or verdicts are not what a round needs.
    """
    wanted, got = (round.params, decided.update)
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        raise ValueError(
            f"{type(by).__name__} needs to return an update of shape {tuple(wanted.shape)} "
            f"and {wanted.dtype}, got {tuple(got.shape)} and {got.dtype}"
        )
    if len(decided.verdicts) != len(round.updates):
        raise ValueError(
            f"{type(by).__name__} needs to return {len(round.updates)} verdicts, got "
            f"{len(decided.verdicts)}"
        )
    return decided
