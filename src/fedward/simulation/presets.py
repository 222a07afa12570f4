"""Ready configurations: the paper's three protocols, and two small ones.

Chen et al., *Fedward*, ICME 2023, section V, with the numbers of the authors' public code;
``docs/paper.md`` says where they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from fedward.attacks import DBA
from fedward.data.partition import Dirichlet
from fedward.engine.plan import LocalTraining
from fedward.simulation.config import Attackers, Measuring, RunConfig


@dataclass(frozen=True)
class Preset:
    """A configuration and what it is for."""

    title: str
    config: RunConfig


MNIST = RunConfig(attack=DBA())

FASHION = replace(
    MNIST,
    dataset="fashion-mnist",
    training=LocalTraining(epochs=2),
    attack=DBA(epochs=5, milestones=(1, 4)),
)

CIFAR10 = replace(
    MNIST,
    dataset="cifar10",
    model="cifarnet",
    rounds=220,
    training=LocalTraining(epochs=3),
    attackers=Attackers(start=10),
)

# A hundred clients of the embedded set would have 100 images each, two steps an epoch, and
# learn next to nothing in a minute: fewer clients with more images, and a larger step.
DEMO = replace(
    MNIST,
    dataset="mnist-small",
    partition=Dirichlet(alpha=0.5, min_size=20),
    clients=40,
    rounds=30,
    training=LocalTraining(epochs=2, lr=0.02),
    attack=DBA(epochs=6),
    measuring=Measuring(every=1, parts_every=30),
)

# Every attack against every defence is more than a thousand runs, so one of them may cost
# a second or two: a perceptron, batches of a whole client, twenty rounds. Chosen, of three
# models and three sizes of clients, by what attacks do to FedAvg, before any defence ran.
MATRIX = replace(
    DEMO,
    model="perceptron",
    clients=100,
    rounds=20,
    training=LocalTraining(epochs=2, batch_size=128, lr=0.1),
    measuring=Measuring(every=1, parts_every=20),
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "demo": Preset("DBA against the embedded digits, in minutes", DEMO),
        "matrix": Preset(
            "one run of the table of attacks and defences, in seconds", MATRIX
        ),
        "paper-mnist": Preset("the paper's protocol on MNIST", MNIST),
        "paper-fashion": Preset("the paper's protocol on Fashion-MNIST", FASHION),
        "paper-cifar10": Preset("the paper's protocol on CIFAR-10", CIFAR10),
    }
)
