"""Fedward's own simulator, everything but the writing of the run folder."""

import sys

import numpy as np
import torch
from workload import BATCH, CLIENTS, DECAY, LR, MOMENTUM, asked

from fedward.data.images import Dataset, Images
from fedward.data.partition import IID
from fedward.defenses import FedAvg
from fedward.engine import ENGINES
from fedward.engine.plan import LocalTraining
from fedward.simulation.config import Attackers, Measuring, RunConfig
from fedward.simulation.federation import federation
from fedward.simulation.rounds import simulate

CONFIG = RunConfig(
    partition=IID(),
    clients=CLIENTS,
    clients_per_round=CLIENTS,
    rounds=10**6,
    training=LocalTraining(
        epochs=1, batch_size=BATCH, lr=LR, momentum=MOMENTUM, weight_decay=DECAY
    ),
    attackers=Attackers(count=0),
    defense=FedAvg(),
    measuring=Measuring(every=10**6),
)


def main() -> None:
    """Rounds as asked, with the engine that is named."""
    with np.load(sys.argv[1]) as held:
        pixels = torch.from_numpy(held["images"])[:, None]
        labels = torch.from_numpy(held["labels"]).long()
    images = Images(pixels, labels)
    classes = tuple(str(digit) for digit in range(10))
    data = Dataset("mnist", images, images, classes)
    rounds = simulate(federation(CONFIG, data, ENGINES[sys.argv[2]]()))
    while asked():
        next(rounds)


if __name__ == "__main__":
    main()
