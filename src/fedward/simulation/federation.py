"""A federation: what stays the same in every round, and who takes which part in one."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from fedward.attacks import Place
from fedward.data.images import Dataset
from fedward.data.partition import class_mix, rarity
from fedward.defenses import FedAvg
from fedward.engine.network import Network
from fedward.engine.seam import Engine
from fedward.layout import Layout
from fedward.models import make_model
from fedward.protocol import Defense
from fedward.seeds import stream
from fedward.simulation.config import RunConfig
from fedward.simulation.failures import OnFailure
from fedward.simulation.measure import Stamped, stamped_probes
from fedward.simulation.records import State


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
