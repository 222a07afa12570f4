"""A federation, round by round: plan, train, craft, defend, apply, measure.

Training and measuring happen where the images are; the server, with the state between two
rounds, is on the CPU.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch

from fedward.engine import Parallel
from fedward.protocol import Aggregation, Round
from fedward.seeds import stream
from fedward.simulation.decision import decision
from fedward.simulation.failures import with_failures
from fedward.simulation.federation import Federation, first_state, rule, select, strikes
from fedward.simulation.measure import measure
from fedward.simulation.received import Received, train
from fedward.simulation.records import RoundRecord, State, client_records


def simulate(
    fed: Federation, state: State | None = None
) -> Iterator[tuple[State, RoundRecord]]:
    """Every round that is left, with the state after it.

    A round depends on the configuration and on the state before it alone, so a run that is
    continued from any state goes on bit for bit.
    """
    state = first_state(fed) if state is None else state
    while state.next_round < fed.config.rounds:
        state, record = run_round(fed, state)
        yield state, record


def run_round(fed: Federation, state: State) -> tuple[State, RoundRecord]:
    """One round.

    Raises:
        ClientFailed: if a client's training raised and the federation stops at that.
    """
    config, index = fed.config, state.next_round
    clients = select(config, index)
    malicious = [strikes(fed, client, index) for client in clients]
    clock = [time.perf_counter()]
    received = train(fed, state, clients, malicious)
    clock.append(time.perf_counter())
    decided = decide(fed, state, received)
    after = State(
        params=state.params + decided.update,
        previous=state.params,
        memory=decided.memory,
        next_round=index + 1,
    )
    clock.append(time.perf_counter())
    ma, asr = measure_round(fed, after)
    clock.append(time.perf_counter())
    record = RoundRecord(
        round=index,
        attacked=any(
            bad and client not in received.failures
            for client, bad in zip(clients, malicious, strict=True)
        ),
        defended=index >= config.first_defended,
        ma=ma,
        asr=asr,
        held=decided.held,
        facts=decided.facts,
        seconds=phases(clock),
        clients=client_records(
            index,
            clients,
            malicious,
            [fed.rarity[c] for c in clients],
            with_failures(decided, clients, received.failures),
        ),
    )
    return after, record


def decide(fed: Federation, state: State, received: Received) -> Aggregation:
    """What the server makes of what it received."""
    config, index = fed.config, state.next_round
    round = Round(
        updates=received.updates,
        weights=received.samples,
        params=state.params,
        layout=fed.layout,
        clients=torch.tensor(received.clients, dtype=torch.int64),
        index=index,
        generator=stream(config.seed, "round", index, "defense"),
        memory=state.memory if index >= config.first_defended else {},
    )
    return decision(rule(config, index), round)


def phases(clock: Sequence[float]) -> dict[str, float]:
    """Seconds between a round's four looks at the clock, to the millisecond."""
    names = ("train", "defend", "evaluate")
    pairs = zip(names, pairwise(clock), strict=True)
    return {name: round(end - begin, 3) for name, (begin, end) in pairs}


def measure_round(fed: Federation, after: State) -> tuple[float | None, dict[str, float]]:
    """Accuracy and success rates, in the rounds that ask for them."""
    config, done = fed.config, after.next_round
    last = done == config.rounds
    if not last and done % config.measuring.every:
        return None, {}
    parts = last or done % config.measuring.parts_every == 0
    probes = fed.probes if parts else fed.probes[:1]
    # A run that is to train with one thread is to measure with one.
    workers = fed.engine.workers if isinstance(fed.engine, Parallel) else None
    params = after.params.to(fed.data.test.pixels.device)
    return measure(fed.model, params, fed.data.test, probes, workers)
