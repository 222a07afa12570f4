"""Every attack by its name; adding one is one line here."""

from fedward.attacks.base import (
    Attack as Attack,
    Knowledge as Knowledge,
    Place as Place,
    Probe as Probe,
    Wrapper as Wrapper,
)
from fedward.attacks.dba import (
    DBA as DBA,
    Centralised as Centralised,
    DBASingleShot as DBASingleShot,
)
from fedward.attacks.presets import ATTACK_PRESETS as ATTACK_PRESETS
from fedward.attacks.replacement import ModelReplacement as ModelReplacement

ATTACKS: dict[str, type[Attack]] = {
    "dba": DBA,
    "dba-single-shot": DBASingleShot,
    "centralised": Centralised,
    "model-replacement": ModelReplacement,
}
