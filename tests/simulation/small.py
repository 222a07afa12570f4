"""A federation small enough to run in a test: synthetic spots, a few clients and rounds."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from fedward.attacks import DBA
from fedward.data.images import Dataset
from fedward.data.partition import IID
from fedward.data.sources import load
from fedward.engine import Reference
from fedward.engine.plan import LocalTraining
from fedward.protocol import Verdict
from fedward.simulation.config import Attackers, Measuring, RunConfig
from fedward.simulation.federation import Federation, federation
from fedward.simulation.records import ClientRecord, RoundRecord

SMALL = RunConfig(
    dataset="synthetic",
    partition=IID(),
    clients=8,
    clients_per_round=6,
    rounds=6,
    training=LocalTraining(batch_size=32, lr=0.05),
    attack=DBA(epochs=1),
    attackers=Attackers(count=2, start=2),
    measuring=Measuring(parts_every=3),
)


@cache
def spots() -> Dataset:
    """The synthetic data set."""
    return load("synthetic")


def small_federation(config: RunConfig = SMALL) -> Federation:
    """Ready to simulate."""
    return federation(config, spots(), Reference())


def record(
    round: int,
    malicious: Sequence[bool],
    accepted: Sequence[bool],
    rarity: Sequence[float] | None = None,
    **changes: object,
) -> RoundRecord:
    """A round with these clients, all defended and measured."""
    rare = rarity or [0.0] * len(malicious)
    rows = zip(malicious, accepted, rare, strict=True)
    made = RoundRecord(
        round=round,
        attacked=any(malicious),
        defended=True,
        ma=0.5,
        asr={"whole": 0.25},
        held=None,
        facts={},
        seconds={"train": 1.0, "defend": 0.0, "evaluate": 0.0},
        clients=tuple(
            ClientRecord(round, client, bad, rarity_, Verdict(ok, "a reason"))
            for client, (bad, ok, rarity_) in enumerate(rows)
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
