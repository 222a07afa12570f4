"""Every attack by its name; adding one is one line here."""

from fedward.attacks.adaptive import Adaptive as Adaptive
from fedward.attacks.alternating import AlternatingMinimisation as AlternatingMinimisation
from fedward.attacks.base import (
    Attack as Attack,
    Knowledge as Knowledge,
    Place as Place,
    Probe as Probe,
    Wrapper as Wrapper,
)
from fedward.attacks.boosting import ExplicitBoosting as ExplicitBoosting
from fedward.attacks.constrain_and_scale import ConstrainAndScale as ConstrainAndScale
from fedward.attacks.dba import (
    DBA as DBA,
    Centralised as Centralised,
    DBASingleShot as DBASingleShot,
)
from fedward.attacks.edge_case import EdgeCase as EdgeCase
from fedward.attacks.inner_product import InnerProduct as InnerProduct
from fedward.attacks.label_flip import LabelFlip as LabelFlip
from fedward.attacks.little import (
    LittleBackdoor as LittleBackdoor,
    LittleIsEnough as LittleIsEnough,
)
from fedward.attacks.mimicry import AmGradMimicry as AmGradMimicry
from fedward.attacks.neurotoxin import Neurotoxin as Neurotoxin
from fedward.attacks.norm_matching import NormMatching as NormMatching
from fedward.attacks.pgd import PGD as PGD
from fedward.attacks.presets import ATTACK_PRESETS as ATTACK_PRESETS
from fedward.attacks.replacement import ModelReplacement as ModelReplacement
from fedward.attacks.train_and_scale import TrainAndScale as TrainAndScale

ATTACKS: dict[str, type[Attack]] = {
    "dba": DBA,
    "dba-single-shot": DBASingleShot,
    "centralised": Centralised,
    "edge-case": EdgeCase,
    "label-flip": LabelFlip,
    "model-replacement": ModelReplacement,
    "constrain-and-scale": ConstrainAndScale,
    "train-and-scale": TrainAndScale,
    "explicit-boosting": ExplicitBoosting,
    "alternating-minimisation": AlternatingMinimisation,
    "pgd": PGD,
    "neurotoxin": Neurotoxin,
    "norm-matching": NormMatching,
    "little-is-enough": LittleIsEnough,
    "little-backdoor": LittleBackdoor,
    "inner-product": InnerProduct,
    "adaptive": Adaptive,
    "amgrad-mimicry": AmGradMimicry,
}

NOT_SHOWN: dict[str, str] = {
    "little-is-enough": "costs no accuracy",
    "little-backdoor": "does not open",
}
"""Attacks that do nothing to FedAvg with their defaults, and what fails; shown in lists.

All others do, in the recorded experiment of ``docs/robustness.md``, which a test checks.
"""
