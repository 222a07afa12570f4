"""A round in numbers for Flower and in words for the operator."""

from logging import getLogger

from flwr.serverapp.strategy import Result

from fedward.flower.journal import Decided

log = getLogger("fedward.flower")


def figures(round: Decided) -> dict[str, int | float]:
    """What the defence adds to a round's metrics."""
    accepted = sum(verdict.accepted for verdict in round.verdicts.values())
    return {
        **round.facts,
        "accepted": accepted,
        "rejected": len(round.verdicts) - accepted,
        "held": int(round.held is not None),
        "defend-seconds": round.seconds["defend"],
    }


def tell(round: Decided) -> None:
    """Log who is rejected and why, by Flower's number of the round."""
    number = round.index + 1
    for node, verdict in round.verdicts.items():
        if not verdict.accepted:
            log.warning("round %d: node %d rejected: %s", number, node, verdict.reason)
    if round.held is not None:
        log.warning("round %d: held, the model is kept: %s", number, round.held)
    accepted = int(figures(round)["accepted"])
    log.info("round %d: %d of %d replies used", number, accepted, len(round.verdicts))


def shifted(result: Result, rounds: int) -> Result:
    """The same result with its rounds numbered on from earlier processes'."""
    for name in (
        "train_metrics_clientapp",
        "evaluate_metrics_clientapp",
        "evaluate_metrics_serverapp",
    ):
        held = getattr(result, name)
        setattr(result, name, {number + rounds: value for number, value in held.items()})
    return result
