"""What other implementations answer on one matrix, in float64.

    i, j = np.meshgrid(np.arange(10), np.arange(6), indexing="ij")
    rows = np.sin(1 + 3 * i + 7 * i * j + j) + (i < 3) * 2.0

Flower 1.41.0, ``flwr.server.strategy.aggregate`` of ``[([row], 1) for row in rows]``:
``aggregate_krum(results, malicious, select)``, ``aggregate_trimmed_avg(results, 0.2)``,
``aggregate_median(results)``. ByzFL 0.0.11, ``byzfl.aggregators.aggregators``:
``GeometricMedian(nu=1e-6, T=2000)(rows)``; its ``Krum(f=3)``, ``MultiKrum(f=3)`` and
``TrMean(f=2)`` agree with Flower to the last digits.
"""

import torch
from torch import Tensor

from fedward.layout import Layout
from fedward.protocol import Round
from tests.defenses.rounds import make_round


def oracle_round() -> Round:
    i, j = torch.arange(10).double()[:, None], torch.arange(6).double()
    rows = torch.sin(1 + 3 * i + 7 * i * j + j) + 2.0 * (i < 3)
    layout = Layout(("weight",), ((2, 3),))
    return make_round(rows, params=torch.zeros(6), layout=layout)


def row(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


KRUM = dict.fromkeys((2, 3, 4), 7)
"""The row chosen, by the number of malicious clients assumed."""

MULTI_KRUM = {
    (3, 7): row(
        -0.018882493163592806,
        -0.047151699386194845,
        -0.032837530013530174,
        0.06604421754496445,
        0.4089024396873632,
        0.8272843610182046,
    ),
    (4, 6): row(
        -0.09205741482863176,
        0.0977432753687116,
        -0.19681956055818098,
        0.16144586065408498,
        0.5092984116416686,
        0.8325277384333297,
    ),
}
"""The mean, by malicious and selected clients."""

MEDIAN = row(
    0.2103914989854107,
    0.4323277318373879,
    0.5973966425605678,
    0.6373833885402516,
    0.9100074031644674,
    0.9539434970023277,
)

TRIMMED_MEAN = row(
    0.32382408001689283,
    0.4715588006379399,
    0.4964865098167592,
    0.534593275917627,
    0.7728989147328864,
    1.0456666620319754,
)
"""With a share of 0.2 dropped on either side."""

GEOMETRIC_MEDIAN = row(
    0.15722124551001088,
    0.2955511258669905,
    0.4443939387128076,
    0.59994589550623,
    0.7100788292421433,
    0.9830146479396376,
)
