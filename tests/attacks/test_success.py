"""Attacks work: against the plain mean of a small federation on real digits."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from fedward.attacks import ATTACKS, Attack
from fedward.data.images import Dataset, Images
from fedward.data.sources import load
from fedward.defenses import FedAvg
from fedward.engine.loop import Reference
from fedward.engine.plan import LocalTraining
from fedward.layout import Layout
from fedward.seeds import stream
from fedward.simulation.config import Attackers, Measuring, RunConfig
from fedward.simulation.federation import federation
from fedward.simulation.records import RoundRecord
from fedward.simulation.rounds import simulate
from tests.attacks.training import Linear

ROUNDS, START = 6, 1


@cache
def digits() -> Dataset:
    """A batch for each of ten clients, and all test images."""
    data = load("mnist-small")
    chosen = torch.randperm(len(data.train), generator=stream(1))[:640]
    return replace(data, train=Images(data.train.pixels[chosen], data.train.labels[chosen]))


def federated(attack: Attack | None, attacked: bool = True) -> RoundRecord:
    """The last round of ten clients who learn softmax regression, four of them hostile."""
    config = RunConfig(
        dataset="mnist-small",
        partition="iid",
        clients=10,
        rounds=ROUNDS,
        training=LocalTraining(epochs=2, lr=0.1),
        attack=attack,
        attackers=Attackers(count=4, start=START, stop=None if attacked else START),
        defense=FedAvg(),
        measuring=Measuring(every=ROUNDS),
    )
    fed = federation(config, digits(), Reference())
    model = Linear(10)
    layout = Layout.of(model)
    layout.load(model, torch.zeros(layout.params))
    *_, (_, last) = simulate(replace(fed, model=model, layout=layout))
    return last


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("dba", 0.6),
        ("centralised", 0.6),
        ("label-flip", 0.4),
        ("model-replacement", 0.9),
        ("constrain-and-scale", 0.9),
        ("alternating-minimisation", 0.9),
        ("pgd", 0.6),
        ("neurotoxin", 0.5),
        ("adaptive", 0.9),
    ],
)
def test_backdoors_open(name: str, rate: float) -> None:
    last = federated(ATTACKS[name]())
    assert last.asr["whole"] > rate


def test_the_whole_trigger_does_what_no_part_does() -> None:
    asr = federated(ATTACKS["dba"]()).asr
    assert all(asr["whole"] > 2 * asr[f"part {k}"] for k in range(4))


def test_nothing_opens_when_nobody_attacks() -> None:
    quiet = federated(ATTACKS["dba"](), attacked=False)
    assert quiet.ma is not None
    assert quiet.ma > 0.7
    assert quiet.asr["whole"] < 0.05


@pytest.mark.parametrize("name", ["norm-matching", "train-and-scale"])
def test_updates_of_honest_length_still_open_it_slowly(name: str) -> None:
    floor = federated(ATTACKS[name](), attacked=False).asr["whole"]
    assert federated(ATTACKS[name]()).asr["whole"] > 3 * floor


def test_turning_the_mean_round_ends_learning() -> None:
    last = federated(ATTACKS["inner-product"]())
    assert last.ma is not None
    assert last.ma < 0.2
