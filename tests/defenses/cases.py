"""What every registered defence promises; `test_contract.py` holds it to that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fedward.protocol import Round


def clipped(bound: float) -> Callable[[Round], Tensor]:
    def agreed(round: Round) -> Tensor:
        row = round.updates[0]
        return row * min(1.0, bound / float(row.norm()))

    return agreed


def model_in_ball(radius: float) -> Callable[[Round], Tensor]:
    def agreed(round: Round) -> Tensor:
        model = round.params + round.updates[0]
        return model * min(1.0, radius / float(model.norm())) - round.params

    return agreed


def summed_signs(round: Round) -> Tensor:
    row = round.updates[0]
    return len(round.updates) * row.sign() * row.abs().mean()


def the_row(round: Round) -> Tensor:
    return round.updates[0]


@dataclass(frozen=True)
class Case:
    """Declared properties of one defence with its default settings.

    Attributes:
        agreed: the update, noise apart, when all clients send the same row; None for a
            method that takes identical rows for sybils and holds the round.
        noise: standard deviation of every entry of the noise, from the agreed row.
        scales_with: ``updates``: scaling the updates scales the result; ``models``: only
            if the global model is scaled too; None: neither.
        translates: adding one vector to all updates adds it to the result.
        bounded: how far one client's row lies does not decide how far the model moves.
    """

    agreed: Callable[[Round], Tensor] | None = the_row
    noise: Callable[[Tensor], float] = lambda row: 0.0
    scales_with: Literal["updates", "models"] | None = None
    translates: bool = False
    bounded: bool = False


CASES: dict[str, Case] = {
    "fedavg": Case(scales_with="updates", translates=True),
    "fedward": Case(scales_with="updates", bounded=True),
    "fedward-authors": Case(agreed=summed_signs, scales_with="updates", bounded=True),
    "median": Case(scales_with="updates", translates=True, bounded=True),
    "trimmed-mean": Case(scales_with="updates", translates=True, bounded=True),
    "krum": Case(scales_with="updates", translates=True, bounded=True),
    "multi-krum": Case(scales_with="updates", translates=True, bounded=True),
    "rfa": Case(scales_with="updates", translates=True, bounded=True),
    "norm-clipping": Case(agreed=clipped(2.0), bounded=True),
    "weak-dp": Case(agreed=clipped(2.0), noise=lambda row: 0.025, bounded=True),
    "crfl": Case(agreed=model_in_ball(15.0), noise=lambda row: 0.01, bounded=True),
    "crfl-authors": Case(
        noise=lambda row: 1e-4 * float(row.norm()), scales_with="updates", bounded=True
    ),
    "fedcc": Case(scales_with="models"),
    "fedcc-layerwise": Case(scales_with="models"),
    "fedcc-authors": Case(scales_with="updates"),
    "flame": Case(
        noise=lambda row: 1e-3 * float(row.norm()), scales_with="models", bounded=True
    ),
    "flame-authors": Case(
        noise=lambda row: 1e-4 * float(row.norm()), scales_with="models", bounded=True
    ),
    "afa": Case(scales_with="models", bounded=True),
    "foolsgold": Case(agreed=None, scales_with="updates"),
    "dnc": Case(scales_with="updates", translates=True, bounded=True),
}

SCALE = 4.0
"""A power of two, so that scaling itself rounds nothing."""

SHIFT = torch.linspace(-3, 3, 117)
