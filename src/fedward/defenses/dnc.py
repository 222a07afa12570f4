"""DnC, divide and conquer: what sticks out along the direction of the largest spread.

Shejwalkar and Houmansadr, *Manipulating the Byzantine: Optimizing model poisoning attacks
and defenses for federated learning*, NDSS 2021, algorithm 2,
https://doi.org/10.14722/ndss.2021.24498.

Deviation: when the iterations agree on nobody the round is held; the paper does not say.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Float64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.defenses.screening import screened
from fedward.ops.blocks import gathered
from fedward.ops.distances import row_norms
from fedward.ops.means import weighted_sum
from fedward.protocol import Aggregation, Round, Verdict, hold
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DnC:
    """Mean of the updates that no iteration threw out.

    Attributes:
        malicious: how many clients are assumed to be; by default the largest minority,
            (n - 1) // 2.
        filtering: clients thrown out in an iteration, as a multiple of ``malicious``
            (the paper's c), rounded.
        columns: coordinates drawn in an iteration (the paper's b).
        iterations: the paper's niters.
    """

    selects: ClassVar[bool] = True
    needs: ClassVar[int] = 3

    malicious: int | None = Field(default=None, ge=0)
    filtering: float = Field(default=1.0, gt=0)
    columns: int = Field(default=10_000, ge=1)
    iterations: int = Field(default=1, ge=1)

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the rows in every iteration's good set, unweighted; shape (params,)."""
        clients, params = round.updates.shape
        assumed = (clients - 1) // 2 if self.malicious is None else self.malicious
        kept = clients - int(self.filtering * assumed + 0.5)
        if kept < 1:
            return hold(
                round, f"DnC throws {clients - kept} clients out and got only {clients}"
            )
        good = torch.ones(clients, dtype=torch.bool)
        for _ in range(self.iterations):
            drawn = torch.randperm(params, generator=round.generator)[: self.columns]
            scores = outlier_scores(gathered(round.updates, drawn))
            # Stable: of equal scores the earlier row, which matters to duplicates only.
            good[scores.argsort(stable=True)[kept:]] = False
        norms = row_norms(round.updates).tolist()
        verdicts = tuple(
            Verdict(
                accepted=used,
                reason="in every good set" if used else "sticks out of the others",
                norm=norm,
                factor=1.0 if used else None,
            )
            for used, norm in zip(good.tolist(), norms, strict=True)
        )
        if not good.any():
            return hold(round, "no client was in every good set", verdicts)
        return Aggregation(
            update=weighted_sum(round.updates, good / good.sum().double()),
            verdicts=verdicts,
            facts={"malicious": float(assumed), "kept": float(kept)},
        )


def outlier_scores(
    rows: Float[Tensor, "clients columns"],
) -> Float64[Tensor, " clients"]:
    """Squared projections of the centred rows on their first right singular vector.

    From the inner products of the centred rows, which share their singular values: the
    projections are the first left singular vector times the first singular value.
    """
    centred = rows.double() - rows.double().mean(dim=0)
    values, vectors = torch.linalg.eigh((centred @ centred.T).cpu())
    scores: Tensor = values[-1].clamp(min=0) * vectors[:, -1].square()
    return scores
