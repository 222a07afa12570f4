"""The seam behind which local training happens, once slowly and surely, once fast."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan


class ClientFailed(RuntimeError):
    """A client's training raised: who, at which step, and what.

    Attributes:
        client: identity of the client.
        step: number of the step, from 0.
    """

    def __init__(self, client: int, step: int, error: Exception) -> None:
        super().__init__(f"client {client} failed at step {step}: {error}")
        self.client = client
        self.step = step


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
            plans: one a client. One without steps gives a row of zeros; training that
                diverges gives a row that is not finite, which is the defence's business.

        Raises:
            ClientFailed: naming the first client, in the order of the plans, that raised.
        """
        ...
