"""Measuring a global model: accuracy, and the success of every trigger."""

from dataclasses import dataclass

from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from fedward.attacks import Attack
from fedward.data.images import Images
from fedward.engine.evaluate import accuracy, success_rate
from fedward.engine.network import Network
from fedward.engine.plan import stamp


@dataclass(frozen=True)
class Stamped:
    """The test images of one probe, stamped once and kept."""

    name: str
    pixels: UInt8[Tensor, "probed channels height width"]
    targets: Int64[Tensor, " probed"]


def stamped_probes(
    attack: Attack | None, test: Images, classes: int
) -> tuple[Stamped, ...]:
    """Every probe of an attack, the headline first; none without an attack.

    Raises:
        ValueError: if the attack wants an answer that no class has.
    """
    if attack is None:
        return ()
    made = []
    for probe in attack.probes(test.pixels.cpu(), test.labels.cpu()):
        highest = int(probe.targets.max())
        if highest >= classes:
            raise ValueError(
                f"there are {classes} classes, got an attack on target {highest}"
            )
        device = test.pixels.device
        pixels = test.pixels.cpu()[probe.indices]
        if probe.trigger is not None:
            pixels = stamp(pixels, probe.trigger)
        made.append(Stamped(probe.name, pixels.to(device), probe.targets.to(device)))
    return tuple(made)


def measure(
    model: Network,
    params: Float[Tensor, " params"],
    test: Images,
    probes: tuple[Stamped, ...],
) -> tuple[float, dict[str, float]]:
    """Main accuracy, and success rate by probe; shares in [0, 1]."""
    ma = accuracy(model, params, test.pixels, test.labels)
    asr = {p.name: success_rate(model, params, p.pixels, p.targets) for p in probes}
    return ma, asr
