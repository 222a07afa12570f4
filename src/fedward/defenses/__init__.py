"""Every defence by its name; adding one is one line here."""

from typing import Any

from fedward.defenses.fedward import Fedward as Fedward, FedwardAuthors as FedwardAuthors
from fedward.defenses.mean import FedAvg as FedAvg

DEFENSES: dict[str, type[Any]] = {
    "fedward": Fedward,
    "fedward-authors": FedwardAuthors,
    "fedavg": FedAvg,
}
