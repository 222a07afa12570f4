"""The seam behind which local training happens, once slowly and surely, once fast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        error: what was raised.
    """

    def __init__(self, client: int, step: int, error: Exception) -> None:
        super().__init__(f"client {client} failed at step {step}: {error}")
        self.client = client
        self.step = step
        self.error = error


@dataclass(frozen=True)
class Trained:
    """What an engine hands back.

    Attributes:
        rows: local model minus global model, one row a plan, in the order of the plans;
            zeros where the plan failed.
        failures: of the plans that raised, by their place in the order.
    """

    rows: Float[Tensor, "clients params"]
    failures: Mapping[int, ClientFailed] = field(default_factory=dict)

    def complete(self) -> Float[Tensor, "clients params"]:
        """The rows, if nobody failed.

        Raises:
            ClientFailed: the first failure in the order of the plans.
        """
        if self.failures:
            raise self.failures[min(self.failures)]
        return self.rows


@runtime_checkable
class Engine(Protocol):
    """Trains every plan from the same global model.

    A client's row depends on its own plan alone: not on its neighbours, nor on their order,
    nor on whether one of them fails. What becomes of failures is the caller's business, so
    an engine trains everybody else to the end, and returns them.
    """

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """A row or a failure for every plan.

        Args:
            model: used as a workspace; its parameters on return are unspecified.
            params: the global model; not modified.
            pixels: all training images, on the device that trains.
            plans: one a client. One without steps gives a row of zeros; training that
                diverges gives a row that is not finite, which is the defence's business.
                One that raises at a step is a failure, which names the client and the step.
        """
        ...
