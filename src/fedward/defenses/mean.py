"""FedAvg: the mean, which defends against nothing.

McMahan et al., *Communication-efficient learning of deep networks from decentralized
data*, AISTATS 2017, https://arxiv.org/abs/1602.05629.

Deviation: the mean is unweighted unless asked, because sample counts are self-reported and
a lying client would buy itself influence with them.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from fedward.defenses.screening import screened
from fedward.ops.distances import row_norms
from fedward.ops.means import weighted_mean
from fedward.protocol import Aggregation, Round, Verdict
from fedward.settings import STRICT


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FedAvg:
    """Mean of all updates.

    Attributes:
        weighted: weight clients by the sample counts that they report.
    """

    selects: ClassVar[bool] = False
    needs: ClassVar[int] = 1

    weighted: bool = False

    @screened
    def __call__(self, round: Round) -> Aggregation:
        """Mean of the rows; shape (params,)."""
        weights = (
            round.weights.double()
            if self.weighted
            else round.weights.new_ones(()).expand(len(round.updates))
        )
        return Aggregation(
            update=weighted_mean(round.updates, weights),
            verdicts=tuple(
                Verdict(accepted=True, reason="every update is used", norm=norm, factor=1.0)
                for norm in row_norms(round.updates).tolist()
            ),
        )
