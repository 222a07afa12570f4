"""The three kinds of attack of the Fedward paper (section III.B), as ready attacks.

The paper names the knobs and gives no numbers; ours are its own grid of poisoned shares
(15.625, 31.25, 46.875 %) and epochs on either side of its attacker's 6.
"""

from fedward.attacks.base import Attack
from fedward.attacks.dba import DBA, DBASingleShot
from fedward.attacks.replacement import ModelReplacement

ATTACK_PRESETS: dict[str, Attack] = {
    # Magnitude with larger deviations: replacement, so 2.5 times when 4 of 10 attack.
    "mla": ModelReplacement(base=DBA()),
    # Angle with larger deviation: 30 poisoned of 64, DBA's 10 epochs, never slowing down.
    "ala": DBA(pdr=0.46875, epochs=10),
    # Angle or magnitude with slight deviation: 10 poisoned of 64, a third of the epochs.
    "amsa": DBA(pdr=0.15625, epochs=2),
    # DBA's single shot for a server that adds the whole mean of 10 updates.
    "dba-single-shot-10": DBASingleShot(scale=10.0),
}
