"""The seam behind which local training happens, once slowly and surely, once fast."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan


@runtime_checkable
class Engine(Protocol):
    """Trains every plan from the same global model.

    A client's row depends on its own plan alone: not on its neighbours, nor on their order.
    """

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Float[Tensor, "clients params"]:
        """Local model minus global model, one row a plan, in the order of the plans.

        Args:
            model: used as a workspace; its parameters on return are unspecified.
            params: the global model; not modified.
            pixels: all training images, on the device that trains.
            plans: one a client.
        """
        ...
