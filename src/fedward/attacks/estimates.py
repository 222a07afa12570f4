"""What attackers infer about honest updates from their own clients' honest training."""

import torch
from jaxtyping import Float
from torch import Tensor

from fedward.attacks.base import Knowledge
from fedward.ops.distances import row_norms


def clean_rows(knowledge: Knowledge) -> Float[Tensor, "attackers params"]:
    """The attackers' honestly trained updates.

    Raises:
        ValueError: if they were not trained.
    """
    if knowledge.clean is None:
        raise ValueError("this attack needs clean updates (needs_clean), got none")
    return knowledge.clean


def scaled_to(
    rows: Float[Tensor, "clients params"], norms: Float[Tensor, " clients"]
) -> Float[Tensor, "clients params"]:
    """Rows of the given L2 norms, in the same directions; zero rows stay zero."""
    current = row_norms(rows)
    factors = torch.where(current > 0, norms.double().cpu() / current, 1.0)
    return rows * factors.to(rows)[:, None]


def mean_and_spread(
    clean: Float[Tensor, "attackers params"],
) -> tuple[Float[Tensor, " params"], Float[Tensor, " params"]]:
    """Mean and standard deviation (n - 1) of every coordinate.

    One row says nothing of the spread; its magnitude is taken then, as if honest clients
    agreed about the sign of a coordinate and little else.
    """
    if len(clean) == 1:
        return clean[0], clean[0].abs()
    return clean.mean(dim=0), clean.std(dim=0)
