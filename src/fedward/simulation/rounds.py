"""A federation, round by round: plan, train, craft, defend, apply, measure.

Training and measuring happen where the images are; the server, with the state between two
rounds, is on the CPU.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from fedward.attacks import Knowledge, Place
from fedward.data.images import Dataset
from fedward.data.partition import class_mix, rarity
from fedward.defenses import FedAvg
from fedward.engine import Parallel
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan, draw_plan
from fedward.engine.seam import ClientFailed, Engine
from fedward.layout import Layout
from fedward.models import make_model
from fedward.protocol import Defense, Round
from fedward.seeds import stream
from fedward.simulation.config import RunConfig
from fedward.simulation.decision import decision
from fedward.simulation.failures import OnFailure, with_failures
from fedward.simulation.measure import Stamped, measure, stamped_probes
from fedward.simulation.records import RoundRecord, State, client_records


@dataclass(frozen=True)
class Federation:
    """What stays the same in every round of a run.

    Attributes:
        shards: training images of every client, on the CPU.
        labels: of all training images, on the CPU.
        rarity: how far every client's class mix is from the population's.
        model: a workspace for engines and measurements.
    """

    config: RunConfig
    data: Dataset
    shards: Sequence[Int64[Tensor, " shard"]]
    labels: Int64[Tensor, " train"]
    rarity: list[float]
    model: Network
    layout: Layout
    probes: tuple[Stamped, ...]
    engine: Engine
    on_failure: OnFailure = "stop"


def federation(
    config: RunConfig, data: Dataset, engine: Engine, on_failure: OnFailure = "stop"
) -> Federation:
    """Share out the data, make the model and stamp the test images.

    Raises:
        ValueError: if data set, model, partition and attack do not fit together.
    """
    labels, classes = data.train.labels.cpu(), len(data.classes)
    shards = config.partition(labels, classes, config.clients, config.seed)
    model = make_model(config.model, data.train.shape, classes, config.seed)
    return Federation(
        config=config,
        data=data,
        shards=shards,
        labels=labels,
        rarity=rarity(class_mix(shards, labels, classes)).tolist(),
        model=model.to(data.train.pixels.device),
        layout=Layout.of(model),
        probes=stamped_probes(config.attack, data.test, classes),
        engine=engine,
        on_failure=on_failure,
    )


def first_state(fed: Federation) -> State:
    """The untrained model, before round 0."""
    return State(fed.layout.flatten(fed.model).cpu(), None, {}, 0)


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
    defended = index >= config.first_defended
    round = Round(
        updates=received.updates,
        weights=received.samples,
        params=state.params,
        layout=fed.layout,
        clients=torch.tensor(received.clients, dtype=torch.int64),
        index=index,
        generator=stream(config.seed, "round", index, "defense"),
        memory=state.memory if defended else {},
    )
    decided = decision(rule(config, index), round)
    after = State(
        params=state.params + decided.update,
        previous=state.params,
        memory=decided.memory,
        next_round=index + 1,
    )
    clock.append(time.perf_counter())
    ma, asr = measure_round(fed, after)
    clock.append(time.perf_counter())
    phases = zip(("train", "defend", "evaluate"), clock[1:], clock, strict=False)
    record = RoundRecord(
        round=index,
        attacked=any(
            bad and client not in received.failures
            for client, bad in zip(clients, malicious, strict=True)
        ),
        defended=defended,
        ma=ma,
        asr=asr,
        held=decided.held,
        facts=decided.facts,
        seconds={phase: round_to_ms(end - begin) for phase, end, begin in phases},
        clients=client_records(
            index,
            clients,
            malicious,
            [fed.rarity[c] for c in clients],
            with_failures(decided, clients, received.failures),
        ),
    )
    return after, record


def round_to_ms(seconds: float) -> float:
    """Seconds to three decimals."""
    return round(seconds, 3)


def select(config: RunConfig, index: int) -> list[int]:
    """Clients of a round, ascending; fixed attackers' clients are always among them."""
    generator = stream(config.seed, "round", index, "selection")
    always = config.attackers.count if config.attackers.choice == "fixed" else 0
    drawn = torch.randperm(config.clients - always, generator=generator) + always
    return [*range(always), *sorted(drawn[: config.clients_per_round - always].tolist())]


def rule(config: RunConfig, index: int) -> Defense:
    """What the server decides a round by: the mean as long as it does not defend."""
    return config.defense if index >= config.first_defended else FedAvg()


def place(fed: Federation, client: int, index: int) -> Place:
    """Where an attacker stands in a round."""
    attackers = fed.config.attackers
    return Place(
        part=client,
        attackers=attackers.count,
        attack_round=index - attackers.start,
        pixels=fed.data.train.pixels,
        labels=fed.labels,
    )


def strikes(fed: Federation, client: int, index: int) -> bool:
    """Whether a client is malicious in a round."""
    attack, attackers = fed.config.attack, fed.config.attackers
    if attack is None or client >= attackers.count or not attackers.active(index):
        return False
    return attack.strikes(place(fed, client, index))


@dataclass(frozen=True)
class Received:
    """What the server receives in a round.

    Attributes:
        clients: who sent a row of ``updates``, and the sample count that came with it.
        failures: of the other clients, whose training raised.
    """

    clients: list[int]
    updates: Float[Tensor, "clients params"]
    samples: Float[Tensor, " clients"]
    failures: Mapping[int, ClientFailed] = field(default_factory=dict)


def train(
    fed: Federation, state: State, clients: list[int], malicious: list[bool]
) -> Received:
    """Every client's training, and what the attackers make of theirs.

    Raises:
        ClientFailed: if a client's training raised and the federation stops at that.
    """
    attack, index = fed.config.attack, state.next_round
    pairs = list(zip(clients, malicious, strict=True))
    own = [client for client, bad in pairs if bad]
    clean = own if attack is not None and attack.needs_clean else []
    plans = [
        poisoned_plan(fed, c, index) if bad else honest_plan(fed, c, index)
        for c, bad in pairs
    ] + [honest_plan(fed, client, index) for client in clean]
    pixels = fed.data.train.pixels
    trained = fed.engine(fed.model, state.params.to(pixels.device), pixels, plans)
    if fed.on_failure == "stop":
        trained.complete()
    failures: dict[int, ClientFailed] = {}
    for place, failure in sorted(trained.failures.items()):
        failures.setdefault(plans[place].client, failure)
    rows = trained.rows.cpu()
    if failures:
        rows = rows[torch.tensor([plan.client not in failures for plan in plans])]
        pairs = [pair for pair in pairs if pair[0] not in failures]
    updates, twins = rows[: len(pairs)], rows[len(pairs) :] if clean else None
    updates = crafted(fed, state, pairs, updates, twins)
    sent = [client for client, _ in pairs]
    samples = torch.tensor([float(len(fed.shards[client])) for client in sent])
    return Received(sent, updates, samples, failures)


def crafted(
    fed: Federation,
    state: State,
    pairs: list[tuple[int, bool]],
    updates: Float[Tensor, "clients params"],
    clean: Float[Tensor, "attackers params"] | None,
) -> Float[Tensor, "clients params"]:
    """The updates with the attackers' replaced, in place, by what they send instead.

    Args:
        pairs: who sends each row, and whether it attacks.
        clean: what the attackers would have trained honestly, if their attack asks for it.
    """
    attack, index = fed.config.attack, state.next_round
    own = [client for client, bad in pairs if bad]
    if not own or attack is None:
        return updates
    mask = torch.tensor([bad for _, bad in pairs])
    knowledge = Knowledge(
        clean=clean,
        params=state.params,
        previous=state.previous,
        identities=torch.tensor(own),
        layout=fed.layout,
        defense=rule(fed.config, index),
        clients=len(pairs),
        index=index,
        generator=stream(fed.config.seed, "round", index, "craft"),
        memory=state.memory,
    )
    made = attack.craft(updates[mask], knowledge)
    if made.shape != updates[mask].shape:
        raise ValueError(
            f"{type(attack).__name__} needs to craft updates of shape "
            f"{tuple(updates[mask].shape)}, got {tuple(made.shape)}"
        )
    updates[mask] = made
    return updates


def honest_plan(fed: Federation, client: int, index: int) -> LocalPlan:
    """A client's own data, trained as told."""
    path = ("round", index, "client", client)
    generator = stream(fed.config.seed, *path, "batches")
    return draw_plan(client, fed.shards[client], fed.labels, fed.config.training, generator)


def poisoned_plan(fed: Federation, client: int, index: int) -> LocalPlan:
    """An attacker's data and training, as the attack has them."""
    attack = fed.config.attack
    if attack is None:
        raise ValueError(f"client {client} cannot attack: the configuration has no attack")
    path = ("round", index, "client", client)
    plan = draw_plan(
        client,
        fed.shards[client],
        fed.labels,
        attack.training(fed.config.training),
        stream(fed.config.seed, *path, "batches"),
    )
    generator = stream(fed.config.seed, *path, "poison")
    return attack.poison(plan, place(fed, client, index), generator)


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
