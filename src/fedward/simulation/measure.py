"""Measuring a global model: accuracy, and the success of every trigger."""

from dataclasses import dataclass

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fedward.attacks import Attack
from fedward.data.images import Images
from fedward.engine.evaluate import answers
from fedward.engine.network import Network
from fedward.engine.plan import Trigger, stamp


@dataclass(frozen=True)
class Stamped:
    """One probe, on the device that measures.

    Attributes:
        indices: the test images that it asks about.
        trigger: stamped on them; None for images as they are.
        targets: the attacker's answer for each.
    """

    name: str
    indices: Int64[Tensor, " probed"]
    trigger: Trigger | None
    targets: Int64[Tensor, " probed"]

    def pixels(self, test: Images) -> UInt8[Tensor, "probed channels height width"]:
        """What the model is asked."""
        chosen = test.pixels[self.indices]
        return chosen if self.trigger is None else stamp(chosen, self.trigger)


def stamped_probes(
    attack: Attack | None, test: Images, classes: int
) -> tuple[Stamped, ...]:
    """Every probe of an attack, the headline first; none without an attack.

    Raises:
        ValueError: if the attack wants an answer that no class has, or asks about nothing.
    """
    if attack is None:
        return ()
    made = []
    for probe in attack.probes(test.pixels.cpu(), test.labels.cpu()):
        if len(probe.indices) == 0:
            raise ValueError(f"the probe {probe.name!r} needs test images, got none")
        highest = int(probe.targets.max())
        if highest >= classes:
            raise ValueError(
                f"there are {classes} classes, got an attack on target {highest}"
            )
        device, trigger = test.pixels.device, probe.trigger
        if trigger is not None:
            trigger = Trigger(trigger.mask.to(device), trigger.value.to(device))
        made.append(
            Stamped(probe.name, probe.indices.to(device), trigger, probe.targets.to(device))
        )
    return tuple(made)


def measure(
    model: Network,
    params: Float[Tensor, " params"],
    test: Images,
    probes: tuple[Stamped, ...],
    workers: int | None = None,
) -> tuple[float, dict[str, float]]:
    """Main accuracy, and success rate by probe; shares in [0, 1].

    Args:
        workers: threads on a CPU; None for one a usable CPU.
    """
    triggers = [probe.trigger for probe in probes if probe.trigger is not None]
    clean, *rows = answers(model, params, test.pixels, triggers, workers=workers)
    stamped = iter(rows)
    asr = {}
    for probe in probes:
        row = clean if probe.trigger is None else next(stamped)
        asr[probe.name] = share(row[probe.indices], probe.targets)
    return share(clean, test.labels.to(clean.device)), asr


def share(found: Int64[Tensor, " images"], wanted: Int64[Tensor, " images"]) -> float:
    """How many are equal, of all."""
    return float((found == wanted).double().mean())
