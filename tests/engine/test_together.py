"""Runs on threads that share one stacked engine."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fedward.engine import Engine, Stacked, Together, together as together_module
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan
from fedward.engine.seam import Trained
from fedward.layout import Layout
from fedward.models import make_model
from tests.engine.plans import images, varied

SHAPE, POOL, RUNS, ROUNDS = (1, 28, 28), 40, 3, 4


class Recording(Stacked):
    """A stacked engine that keeps how many plans came at once."""

    def train(
        self,
        model: Network,
        starts: Sequence[Tensor],
        pixels: Tensor,
        plans: Sequence[LocalPlan],
    ) -> Trained:
        calls.append(len(plans))
        return super().train(model, starts, pixels, plans)


calls: list[int] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody waits for everybody, however busy the machine is."""
    monkeypatch.setattr(together_module, "SHORTEST", 120.0)


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return images(POOL, SHAPE)


def rounds_of(run: int) -> list[list[LocalPlan]]:
    """Two or three clients a round; nobody's are another's."""
    plans = [replace(plan, penalty=0.0) for plan in varied(SHAPE, 9, POOL)]
    return [plans[(run + i) % 6 :][: 2 + run % 2] for i in range(ROUNDS)]


def simulated(engine: Engine, pixels: Tensor, run: int) -> Tensor:
    """Parameters after some rounds of averaging."""
    model = make_model("perceptron", SHAPE, 10, seed=run)
    params = Layout.of(model).flatten(model)
    for plans in rounds_of(run):
        params = params + engine(model, params, pixels, plans).complete().mean(dim=0)
    return params


def side_by_side(together: Together, work: Callable[[int], Tensor]) -> list[Tensor]:
    def member(run: int) -> Tensor:
        with together.run():
            begun.wait()
            return work(run)

    begun = threading.Barrier(RUNS)
    with ThreadPoolExecutor(RUNS) as pool:
        return list(pool.map(member, range(RUNS)))


@pytest.mark.usefixtures("patient")
def test_runs_that_train_together_get_the_bits_of_each_alone(pixels: Tensor) -> None:
    alone = [simulated(Stacked(width=3), pixels, run) for run in range(RUNS)]
    together = Together(Recording(width=3))
    found = side_by_side(together, lambda run: simulated(together, pixels, run))
    for own, shared in zip(alone, found, strict=True):
        assert torch.equal(own, shared)
    rounds = zip(*map(rounds_of, range(RUNS)), strict=True)
    assert calls == [sum(map(len, plans)) for plans in rounds]


@pytest.mark.usefixtures("patient")
def test_a_run_that_has_ended_is_not_waited_for(pixels: Tensor) -> None:
    together = Together(Recording(width=3))
    with together.run():
        with together.run():
            pass
        simulated(together, pixels, 0)
    assert calls == [len(plans) for plans in rounds_of(0)]


@pytest.mark.usefixtures("patient")
def test_a_run_that_waits_aside_is_not_waited_for_until_it_is_back(pixels: Tensor) -> None:
    together = Together(Recording(width=3))
    with together.run(), together.run():
        with together.aside():
            simulated(together, pixels, 0)
        assert calls == [len(plans) for plans in rounds_of(0)]
    calls.clear()
    side_by_side(together, lambda run: simulated(together, pixels, run))
    assert len(calls) == ROUNDS


def test_a_run_that_does_something_else_is_waited_for_a_little_only(pixels: Tensor) -> None:
    together = Together(Recording(width=3))
    with together.run(), together.run():
        simulated(together, pixels, 0)
    assert calls == [len(plans) for plans in rounds_of(0)]


@pytest.mark.usefixtures("patient")
def test_models_or_images_that_differ_are_trained_apart(pixels: Tensor) -> None:
    together = Together(Recording(width=3))
    own = [pixels, pixels.clone(), pixels]
    found = side_by_side(together, lambda run: simulated(together, own[run], run))
    for run in range(RUNS):
        assert torch.equal(found[run], simulated(Stacked(width=3), pixels, run))
    # Runs 0 and 2 have two plans a round each, run 1 has three.
    assert calls.count(3) >= ROUNDS
    assert calls.count(4) == ROUNDS


def test_a_failure_goes_to_the_run_whose_client_it_is(pixels: Tensor) -> None:
    def outside(plan: LocalPlan) -> LocalPlan:
        return replace(plan, indices=torch.full_like(plan.indices, POOL))

    def trained(run: int) -> Tensor:
        model = make_model("perceptron", SHAPE, 10, seed=0)
        params = Layout.of(model).flatten(model)
        plans = rounds_of(run)[0]
        if run == 1:
            plans = [plans[0], outside(plans[1]), *plans[2:]]
        done = together(model, params, pixels, plans)
        assert set(done.failures) == ({1} if run == 1 else set())
        return done.rows

    together = Together(Recording(width=3))
    for run, rows in enumerate(side_by_side(together, trained)):
        assert bool((rows == 0).all(dim=1).any()) == (run == 1)


def test_what_the_engine_raises_is_everybodys(pixels: Tensor) -> None:
    class Full(Stacked):
        def train(self, *_: object) -> Trained:
            raise MemoryError("no room on the card")

    together = Together(Full())

    def refused(run: int) -> Tensor:
        with pytest.raises(MemoryError, match="no room on the card"):
            simulated(together, pixels, run)
        return torch.zeros(1)

    side_by_side(together, refused)


def test_nothing_is_trained_after_the_end(pixels: Tensor) -> None:
    together = Together(Recording(width=3))
    together.close()
    with together.run(), pytest.raises(RuntimeError, match="were stopped"):
        simulated(together, pixels, 0)
    assert calls == []
