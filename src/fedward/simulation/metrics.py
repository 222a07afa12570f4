"""The figures of a whole run, with their exact definitions.

All are shares in [0, 1]; None where undefined. The *window* is the rounds from the start
of the attack to its stop (or the end), whether or not somebody struck in each of them. A
run in which nobody ever attacks has the window from the start to the end: its mean success
rate there is the floor under the attacked runs'.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from fedward.simulation.config import RunConfig, is_clean
from fedward.simulation.records import RoundRecord

AUTHORS_FROM = 10
"""The authors' code averages the success rate from this round on."""


def summary(
    config: RunConfig,
    records: Sequence[RoundRecord],
    rarity: Sequence[float],
    selects: bool,
) -> dict[str, Any]:
    """Every figure of a finished run.

    Args:
        rarity: of every client in the pool; the quarter with the largest is called rare.
        selects: whether the defence accepts and rejects; AER and BRR are None otherwise.
    """
    window = [r for r in records if is_clean(config) or config.attackers.active(r.round)]
    window = [r for r in window if r.round >= config.attackers.start]
    defended = [r for r in records if r.defended]
    accuracies = [r.ma for r in records if r.ma is not None]
    measured = [r for r in window if r.asr]
    headline = next(iter(measured[0].asr)) if measured else ""
    parts = {name for r in measured for name in r.asr if name != headline}
    judged = defended if selects else []
    cut = float(torch.tensor(rarity).quantile(0.75)) if rarity else 0.0
    return {
        "ma_final": accuracies[-1] if accuracies else None,
        "ma_last10": mean(accuracies[-10:]),
        "asr_final": next(iter(headlines(records[-1:])), None),
        "aasr": mean(headlines(window)),
        "aasr_from_10": mean(headlines(r for r in records if r.round >= AUTHORS_FROM)),
        "aasr_parts": {
            name: mean(r.asr[name] for r in window if name in r.asr)
            for name in sorted(parts)
        },
        "aer": attack_escape_rate(judged),
        "brr": benign_rejection_rate(judged),
        "brr_attacked": benign_rejection_rate(r for r in judged if r.attacked),
        "brr_unattacked": benign_rejection_rate(r for r in judged if not r.attacked),
        "brr_rare": benign_rejection_rate(judged, rarer_than=cut),
        "held": mean(float(r.held is not None) for r in defended),
    }


def floor(config: RunConfig, twin: Mapping[str, Any] | None) -> float | None:
    """The success rate that a run's own has to be seen above.

    None if its clean twin has not run, or if the attack stops before the end: the twin's
    ``aasr`` goes to the end, over rounds that the run's own leaves out.

    Args:
        twin: the figures of the clean twin.
    """
    if twin is None or stops_early(config):
        return None
    value = twin.get("aasr")
    return None if value is None else float(value)


def stops_early(config: RunConfig) -> bool:
    """Whether somebody attacks, and stops before the run does."""
    stop = config.attackers.stop
    return stop is not None and stop < config.rounds and not is_clean(config)


def headlines(records: Iterable[RoundRecord]) -> list[float]:
    """Success rates of the first probe (the whole trigger), where measured."""
    return [next(iter(record.asr.values())) for record in records if record.asr]


def attack_escape_rate(records: Iterable[RoundRecord]) -> float | None:
    """AER: admitted attackers over attackers taking part, in all rounds together."""
    counts = [(r.admitted_attackers, r.attackers) for r in records if r.attacked]
    return ratio(counts)


def benign_rejection_rate(
    records: Iterable[RoundRecord], rarer_than: float | None = None
) -> float | None:
    """BRR: rejected benign clients over benign clients taking part.

    Args:
        rarer_than: count only clients whose rarity is at least this.
    """
    benign = [
        client
        for record in records
        for client in record.judged
        if client.malicious is False
        and (
            rarer_than is None
            or (client.rarity is not None and client.rarity >= rarer_than)
        )
    ]
    return ratio([(int(not client.verdict.accepted), 1) for client in benign])


def ratio(counts: Sequence[tuple[int, int]]) -> float | None:
    """Sum of the first over sum of the second; None when there is nothing to count."""
    total = sum(whole for _, whole in counts)
    return sum(part for part, _ in counts) / total if total else None


def mean(values: Iterable[float]) -> float | None:
    """Mean, or None of nothing."""
    values = list(values)
    return sum(values) / len(values) if values else None
