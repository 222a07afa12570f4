"""What a round leaves behind: one line for the round and one for each of its clients."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from fedward.protocol import Aggregation, Verdict


@dataclass(frozen=True)
class ClientRecord:
    """One client in one round; a line of ``verdicts.jsonl``.

    Attributes:
        malicious: whether it attacked in this round; None where nobody knows, as in a
            deployment.
        rarity: how far its class mix is from the population's, 0 to 1; None if unknown.
    """

    round: int
    client: int
    malicious: bool | None
    rarity: float | None
    verdict: Verdict

    def to_line(self) -> dict[str, Any]:
        """Flat, ready for JSON."""
        line = asdict(self)
        verdict = line.pop("verdict")
        return {**line, **verdict}


@dataclass(frozen=True)
class RoundRecord:
    """One round; a line of ``rounds.jsonl`` and the lines of its clients.

    Attributes:
        attacked: whether any client attacked; None where nobody knows.
        defended: whether the defence decided (before it starts, the mean is taken).
        ma: accuracy on the test set in [0, 1]; None in rounds that were not measured.
        asr: success rate by probe in [0, 1]; empty in rounds that were not measured.
        held: why the model was kept as it was, or None.
        facts: numbers of the defence, such as ``eps`` and ``bound``.
        seconds: by phase: train, defend, evaluate.
    """

    round: int
    attacked: bool | None
    defended: bool
    ma: float | None
    asr: Mapping[str, float]
    held: str | None
    facts: Mapping[str, float]
    seconds: Mapping[str, float]
    clients: tuple[ClientRecord, ...]

    @property
    def judged(self) -> tuple[ClientRecord, ...]:
        """Clients that sent an update; those whose training failed sent none."""
        return tuple(client for client in self.clients if not client.verdict.failed)

    @property
    def attackers(self) -> int:
        """Clients that are known to have attacked."""
        return sum(client.malicious is True for client in self.judged)

    @property
    def admitted_attackers(self) -> int:
        """Attackers whose update was used."""
        return sum(c.malicious is True and c.verdict.accepted for c in self.clients)

    @property
    def rejected_benign(self) -> int:
        """Clients known to be honest whose update was not used."""
        return sum(c.malicious is False and not c.verdict.accepted for c in self.judged)

    @property
    def rejected(self) -> int:
        """Clients whose update was not used, whoever they are."""
        return sum(not client.verdict.accepted for client in self.judged)

    def to_line(self) -> dict[str, Any]:
        """Flat, ready for JSON; what nobody knows is None, not zero."""
        known = self.attacked is not None
        return {
            "round": self.round,
            "attacked": self.attacked,
            "defended": self.defended,
            "ma": self.ma,
            "asr": dict(self.asr),
            "held": self.held,
            "facts": dict(self.facts),
            "clients": len(self.judged),
            "attackers": self.attackers if known else None,
            "admitted_attackers": self.admitted_attackers if known else None,
            "rejected_benign": self.rejected_benign if known else None,
            "seconds": dict(self.seconds),
        }


@dataclass(frozen=True)
class State:
    """Everything that the next round depends on.

    Attributes:
        previous: the global model of the round before; None before the first round.
        memory: what the defence remembers.
        next_round: number of the next round.
    """

    params: Float[Tensor, " params"]
    previous: Float[Tensor, " params"] | None
    memory: Mapping[str, Tensor]
    next_round: int


def client_records(
    round: int,
    clients: list[int],
    malicious: list[bool],
    rarity: list[float | None],
    decided: Aggregation,
) -> tuple[ClientRecord, ...]:
    """The records of a round's clients, in the order of its rows."""
    rows = zip(clients, malicious, rarity, decided.verdicts, strict=True)
    return tuple(ClientRecord(round, *row) for row in rows)


def from_lines(
    line: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]
) -> RoundRecord:
    """The inverse of the two ``to_line``."""
    clients = tuple(
        ClientRecord(
            round=verdict["round"],
            client=verdict["client"],
            malicious=verdict["malicious"],
            rarity=verdict["rarity"],
            verdict=Verdict(
                **{name: verdict[name] for name in Verdict.__dataclass_fields__}
            ),
        )
        for verdict in verdicts
    )
    names = ("round", "attacked", "defended", "ma", "asr", "held", "facts", "seconds")
    return RoundRecord(**{name: line[name] for name in names}, clients=clients)
