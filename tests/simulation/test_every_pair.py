"""Every attack against every defence, end to end: an honest round, two attacked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from fedward.attacks import ATTACK_PRESETS, ATTACKS
from fedward.defenses import DEFENSE_PRESETS, DEFENSES, FedAvg
from fedward.engine import Parallel
from fedward.engine.plan import LocalTraining
from fedward.protocol import Round
from fedward.simulation import rounds
from fedward.simulation.config import Attackers, Measuring, RunConfig, from_table, to_table
from fedward.simulation.federation import Federation, federation, first_state, select
from fedward.simulation.received import train
from fedward.simulation.records import RoundRecord, State
from fedward.simulation.rounds import run_round
from tests.simulation.small import spots

ATTACKERS, CLIENTS = 2, 6
BASE = RunConfig(
    dataset="synthetic",
    model="perceptron",
    partition="iid",
    clients=8,
    clients_per_round=CLIENTS,
    rounds=3,
    training=LocalTraining(batch_size=128, lr=0.05),
    attackers=Attackers(count=ATTACKERS, start=1),
    defense=FedAvg(),
    measuring=Measuring(parts_every=3),
)
ONE_STRIKE = {"dba-single-shot", "dba-single-shot-10"}


@dataclass(frozen=True)
class Warm:
    """A federation after its honest round."""

    fed: Federation
    state: State


@cache
def warm(attack: str | None) -> Warm:
    """The same for every defence, since the mean is taken before the attack."""
    config = from_table({**to_table(BASE), "attack": attack})
    fed = federation(config, spots(), Parallel(workers=1))
    state, _ = run_round(fed, first_state(fed))
    return Warm(fed, state)


@cache
def honest_updates() -> Tensor:
    """What clients send in round 1 if nobody attacks; shape (clients, params)."""
    begun = warm(None)
    clients = select(begun.fed.config, 1)
    return train(begun.fed, begun.state, clients, [False] * CLIENTS).updates


Step = Callable[[Federation, State], tuple[State, RoundRecord, Round]]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """A round, and what the defence was shown, which it must not have changed."""
    shown: list[tuple[Round, Tensor, Tensor]] = []

    def noted(**parts: Any) -> Round:
        made = Round(**parts)
        shown.append((made, made.updates.clone(), made.params.clone()))
        return made

    monkeypatch.setattr(rounds, "Round", noted)

    def take(fed: Federation, state: State) -> tuple[State, RoundRecord, Round]:
        after, record = run_round(fed, state)
        round, updates, params = shown.pop()
        assert torch.equal(round.updates, updates)
        assert torch.equal(round.params, params)
        return after, record, round

    return take


@pytest.mark.parametrize("defense", [*DEFENSES, *DEFENSE_PRESETS])
@pytest.mark.parametrize("attack", [*ATTACKS, *ATTACK_PRESETS])
def test_every_attack_meets_every_defense(attack: str, defense: str, step: Step) -> None:
    begun = warm(attack)
    config = from_table({**to_table(begun.fed.config), "defense": defense})
    fed = replace(begun.fed, config=config)
    first, one, received = step(fed, begun.state)
    last, two, _ = step(fed, first)

    # Honest clients send what they would have sent had nobody attacked.
    assert torch.equal(begun.state.params, warm(None).state.params)
    striking = len(strikers(attack, 1))
    assert torch.equal(received.updates[striking:], honest_updates()[striking:])

    for record, before, after in [(one, begun.state, first), (two, first, last)]:
        holds_the_laws(record, attack, config)
        assert after.params.isfinite().all()
        assert torch.equal(after.params, before.params) is (record.held is not None)
    assert 0 <= (two.ma or 0.0) <= 1
    assert [*two.asr] == [probe.name for probe in fed.probes]
    assert all(0 <= rate <= 1 for rate in two.asr.values())

    again, record, _ = step(fed, first)
    assert torch.equal(again.params, last.params)
    assert record.clients == two.clients


def strikers(attack: str, index: int) -> set[int]:
    """Attackers strike in both rounds; of single shots the first has its turn at once."""
    if attack in ONE_STRIKE:
        return {0} if index == 1 else set()
    return set(range(ATTACKERS))


def holds_the_laws(record: RoundRecord, attack: str, config: RunConfig) -> None:
    """Whatever the pair: a verdict a client, who attacked, and why nothing was done."""
    clients = [client.client for client in record.clients]
    assert clients == sorted(set(clients))
    assert len(clients) == CLIENTS
    bad = {client.client for client in record.clients if client.malicious}
    assert bad == strikers(attack, record.round)
    assert record.attacked is bool(bad)
    assert record.defended
    accepted = {client.client for client in record.clients if client.verdict.accepted}
    assert all(client.verdict.reason for client in record.clients)
    if record.held is not None:
        assert record.held
        assert not accepted
    elif not config.defense.selects:
        assert accepted == set(clients)
    else:
        assert accepted
    line = json.loads(json.dumps(record.to_line(), allow_nan=False))
    assert line["attackers"] == len(bad)
    assert line["admitted_attackers"] == len(bad & accepted)
    assert line["rejected_benign"] == len(set(clients) - bad - accepted)
