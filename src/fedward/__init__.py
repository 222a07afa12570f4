"""Keep backdoors out of federated learning, and prove with numbers that they are out."""

from fedward.aggregation import aggregate as aggregate
from fedward.buffer import UpdateBuffer as UpdateBuffer
from fedward.defenses import DEFENSES as DEFENSES
from fedward.defenses.fedward import Fedward as Fedward
from fedward.defenses.mean import FedAvg as FedAvg
from fedward.layout import Layout as Layout
from fedward.protocol import (
    Aggregation as Aggregation,
    Defense as Defense,
    Round as Round,
    Verdict as Verdict,
)
