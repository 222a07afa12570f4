"""Several runs that train in the same steps.

A round trains ten clients, which do not fill a GPU. Cells of a grid do if they are trained
side by side: every run has a thread of its own, and asks for its round's training here.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

from jaxtyping import Float, UInt8
from torch import Tensor

from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan
from fedward.engine.seam import Trained
from fedward.engine.stacked import Stacked

SHORTEST = 0.1
"""Seconds that a run waits for the others at least; the first has nothing to go by."""


@dataclass(frozen=True, eq=False)
class Request:
    """One run's training of one round."""

    model: Network
    params: Float[Tensor, " params"]
    pixels: UInt8[Tensor, "images channels height width"]
    plans: Sequence[LocalPlan]
    answer: "Future[Trained]" = field(default_factory=Future)


class Together:
    """Trains what runs ask for at about the same time in one call of a stacked engine.

    Who meets whom depends on the clock. No bit of a row does, since that of a stacked
    engine is the same whatever is trained beside it.

    Args:
        within: the engine that trains.
    """

    def __init__(self, within: Stacked) -> None:
        self.within = within
        self._runs = 0
        self._closed = False
        self._patience = SHORTEST
        self._waiting: list[Request] = []
        self._changed = Condition()
        self._training = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run that will ask; while it is there, the others wait for it a little."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A run that waits for something else: meanwhile nobody waits for it."""
        self._count(-1)
        try:
            yield
        finally:
            self._count(1)

    def close(self) -> None:
        """Train nothing more: whoever asks gets an error."""
        with self._changed:
            self._closed = True

    def _count(self, more: int) -> None:
        with self._changed:
            self._runs += more
            self._changed.notify_all()

    def __call__(
        self,
        model: Network,
        params: Float[Tensor, " params"],
        pixels: UInt8[Tensor, "images channels height width"],
        plans: Sequence[LocalPlan],
    ) -> Trained:
        """One row or failure a plan, see `fedward.engine.seam.Engine`.

        Raises:
            Exception: what the engine raises, to every run whose plans were in that call.
            RuntimeError: after `close`.
        """
        if self._closed:
            raise RuntimeError("the runs that train together were stopped")
        request = Request(model, params, pixels, plans)
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()
            self._changed.wait_for(lambda: request.answer.done() or not self._training)
            if request.answer.done():
                return request.answer.result()
            self._training = True
        try:
            self._train(self._met())
        finally:
            with self._changed:
                self._training = False
                self._changed.notify_all()
        return request.answer.result()

    def _met(self) -> list[Request]:
        """What has been asked for when all runs have asked, or one has waited enough.

        To wait for longer than training takes would cost more than it can save.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._waiting) >= self._runs, timeout=self._patience
            )
            met, self._waiting = self._waiting, []
        return met

    def _train(self, met: Sequence[Request]) -> None:
        begun = time.monotonic()
        alike: dict[tuple[int, str], list[Request]] = {}
        for request in met:
            # Models are alike if they are written alike: their layers with all settings.
            kind = (id(request.pixels), repr(request.model))
            alike.setdefault(kind, []).append(request)
        for requests in alike.values():
            try:
                self._answer(requests)
            except BaseException as error:
                for request in requests:
                    if not request.answer.done():
                        request.answer.set_exception(error)
        self._patience = max(SHORTEST, time.monotonic() - begun)

    def _answer(self, requests: Sequence[Request]) -> None:
        """Train the plans of all in one call, and give everybody their part of it."""
        first = requests[0]
        plans = [plan for request in requests for plan in request.plans]
        starts = [request.params for request in requests for _ in request.plans]
        trained = self.within.train(first.model, starts, first.pixels, plans)
        begin = 0
        for request in requests:
            end = begin + len(request.plans)
            failures = {
                place - begin: failure
                for place, failure in trained.failures.items()
                if begin <= place < end
            }
            request.answer.set_result(Trained(trained.rows[begin:end], failures))
            begin = end
