"""What the server receives in a round: what clients train, and what attackers craft."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from fedward.attacks import Knowledge
from fedward.engine.plan import LocalPlan, draw_plan
from fedward.engine.seam import ClientFailed
from fedward.seeds import stream
from fedward.simulation.federation import Federation, place, rule
from fedward.simulation.records import State


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
    for number, failure in sorted(trained.failures.items()):
        failures.setdefault(plans[number].client, failure)
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
