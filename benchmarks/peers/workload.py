"""The workload that every simulator is given, and the turns in which they take it.

One round: 10 clients, each 600 images, batches of 64, one epoch of SGD with momentum, the
network of two convolutions and a hidden layer of 500, no evaluation, FedAvg. A peer says
that it is ready and then runs one round for every line that it reads.
"""

import os
import sys
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

CLIENTS, SAMPLES, BATCH = 10, 600, 64
LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4
# What a framework prints must not be taken for an answer.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class Net(nn.Module):
    """The network as its authors wrote it, 431,080 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        hidden = max_pool2d(relu(self.conv1(images)), 2)
        hidden = max_pool2d(relu(self.conv2(hidden)), 2)
        logits: Tensor = self.fc2(relu(self.fc1(hidden.flatten(1))))
        return logits


@cache
def shards(file: str) -> list[tuple[Tensor, Tensor]]:
    """Images in [0, 1] and labels of every client, read once a process."""
    with np.load(file) as held:
        images = torch.from_numpy(held["images"]).float().div_(255)[:, None]
        labels = torch.from_numpy(held["labels"]).long()
    return list(zip(images.split(SAMPLES), labels.split(SAMPLES), strict=True))


def sgd(model: nn.Module) -> torch.optim.SGD:
    """How a client trains."""
    return torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)


def asked() -> bool:
    """Say that the last round is over, and wait for the next; False at the end."""
    ANSWERS.write("ready\n")
    ANSWERS.flush()
    return bool(sys.stdin.readline())
