"""Every defence by its name; adding one is one line here."""

from typing import Any

from fedward.defenses.afa import AFA as AFA
from fedward.defenses.coordinatewise import Median as Median, TrimmedMean as TrimmedMean
from fedward.defenses.crfl import CRFL as CRFL, CRFLAuthors as CRFLAuthors
from fedward.defenses.dnc import DnC as DnC
from fedward.defenses.fedcc import (
    FedCC as FedCC,
    FedCCAuthors as FedCCAuthors,
    FedCCLayerwise as FedCCLayerwise,
)
from fedward.defenses.fedward import Fedward as Fedward, FedwardAuthors as FedwardAuthors
from fedward.defenses.flame import Flame as Flame, FlameAuthors as FlameAuthors
from fedward.defenses.foolsgold import FoolsGold as FoolsGold
from fedward.defenses.krum import Krum as Krum, MultiKrum as MultiKrum
from fedward.defenses.mean import FedAvg as FedAvg
from fedward.defenses.norm_clipping import NormClipping as NormClipping, WeakDP as WeakDP
from fedward.defenses.presets import DEFENSE_PRESETS as DEFENSE_PRESETS
from fedward.defenses.rfa import GeometricMedian as GeometricMedian

DEFENSES: dict[str, type[Any]] = {
    "fedward": Fedward,
    "fedward-authors": FedwardAuthors,
    "fedavg": FedAvg,
    "median": Median,
    "trimmed-mean": TrimmedMean,
    "krum": Krum,
    "multi-krum": MultiKrum,
    "rfa": GeometricMedian,
    "norm-clipping": NormClipping,
    "weak-dp": WeakDP,
    "crfl": CRFL,
    "crfl-authors": CRFLAuthors,
    "fedcc": FedCC,
    "fedcc-layerwise": FedCCLayerwise,
    "fedcc-authors": FedCCAuthors,
    "flame": Flame,
    "flame-authors": FlameAuthors,
    "afa": AFA,
    "foolsgold": FoolsGold,
    "dnc": DnC,
}
