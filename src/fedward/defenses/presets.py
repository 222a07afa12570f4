"""Fedward with one part replaced or switched off, as ready defences.

Chen et al., *Fedward*, ICME 2023, section IV.C puts AutoOPTICS beside DBSCAN and HDBSCAN.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fedward.defenses.fedward import Fedward

DEFENSE_PRESETS: Mapping[str, Any] = MappingProxyType(
    {
        "fedward-dbscan": Fedward(cluster="dbscan"),
        "fedward-hdbscan": Fedward(cluster="hdbscan"),
        "fedward-no-amgrad": Fedward(amgrad="off"),
        "fedward-no-cluster": Fedward(cluster="none"),
        "fedward-no-clip": Fedward(clip="none"),
    }
)
"""Other names for settings of `Fedward`; a run's configuration holds the settings."""
