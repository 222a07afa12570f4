"""Data, model and attack: what server and clients agree on."""

from collections.abc import Mapping

from fedward.attacks import DBA
from fedward.data.partition import IID
from fedward.data.sources import load
from fedward.defenses import DEFENSES
from fedward.engine.loop import Reference
from fedward.engine.plan import LocalTraining
from fedward.simulation.config import Attackers, RunConfig
from fedward.simulation.federation import Federation, federation

Config = Mapping[str, bool | float | int | str]
"""What Flower hands an app as its run configuration."""


def settings(config: Config) -> RunConfig:
    """The federation that a run configuration describes."""
    clients = int(config["clients"])
    return RunConfig(
        dataset=str(config["data"]),
        model="mnistnet",
        partition=IID(),
        clients=clients,
        clients_per_round=clients,
        rounds=int(config["rounds"]),
        training=LocalTraining(
            epochs=int(config["epochs"]), lr=float(config["learning-rate"])
        ),
        attack=DBA(),
        attackers=Attackers(
            count=int(config["attackers"]), start=int(config["attack-from"]) - 1
        ),
        defense=DEFENSES[str(config["defense"])](),
        defend_from=0,
        seed=int(config["seed"]),
    )


def prepare(config: Config) -> Federation:
    """The images shared out, the untrained model and the trigger's test images."""
    return federation(settings(config), load(str(config["data"])), Reference())
