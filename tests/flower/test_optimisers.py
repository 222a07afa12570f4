"""Strategies with a memory of their own: server momentum and adaptive optimisers."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAdam, FedAvg, Strategy

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from fedward.flower.state import load_state
from fedward.protocol import Round
from tests.flower.grid import Client, Nodes, arrays_of, draw, moving, record, round_of
from tests.flower.releases import FedAvgM
from tests.flower.rounds import HONEST, SHAPES, START, Recording, honest, same


def run(strategy: Strategy, clients: Mapping[int, Client], rounds: int = 4) -> Any:
    return strategy.start(Nodes(clients), record(START), num_rounds=rounds)


class TestServerOptimisers:
    def test_momentum_acts_on_the_defended_update(self) -> None:
        """With v = 0.9 v + u and a constant update u: after two rounds 1 + 1.9 = 2.9 u."""
        update = draw(3, SHAPES)
        momentum = FedAvgM(
            fraction_evaluate=0.0, server_momentum=0.9, server_learning_rate=1.0
        )
        result = run(
            Defended(momentum, defense=Mean()), dict.fromkeys((1, 2), moving(update)), 2
        )
        for name, values in arrays_of(result.arrays).items():
            np.testing.assert_allclose(
                values, START[name] + 2.9 * update[name], rtol=1e-5, atol=1e-6
            )

    @pytest.mark.parametrize("make", [FedAdam, FedAvgM])
    def test_without_rejections_it_is_flowers_own(self, make: Any) -> None:
        """Equal sample counts, so Flower's weighted mean is the unweighted one."""
        options = {"server_momentum": 0.5} if make is FedAvgM else {}
        clients = {node: honest(node) for node in (1, 2, 3)}
        plain = run(make(fraction_evaluate=0.0, **options), clients)
        ours = run(
            Defended(make(fraction_evaluate=0.0, **options), defense=Mean()), clients
        )
        for name, values in arrays_of(ours.arrays).items():
            np.testing.assert_allclose(
                values, arrays_of(plain.arrays)[name], rtol=1e-4, atol=1e-5
            )
            assert values.dtype == np.float32

    def test_a_rejected_client_does_not_reach_the_momentum(self) -> None:
        away = moving({name: -5 * values for name, values in draw(0, SHAPES).items()})

        def model(clients: Mapping[int, Client]) -> Any:
            momentum = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
            return run(Defended(momentum), clients, 3).arrays

        assert same(model({**HONEST, 5: away}), model(HONEST))

    def test_a_held_round_does_not_move_the_momentum(self) -> None:
        momentum = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
        result = run(
            Defended(momentum), dict.fromkeys((1, 2), moving(draw(3, SHAPES))), rounds=3
        )
        assert momentum.momentum_vector is None
        assert same(result.arrays, record(START))


HALF = {"w": np.full(3, 20_000, np.float16)}
"""Of a type whose largest number is 65,504."""


def stepping(*steps: float) -> Client:
    """Adds another number in every round."""

    def client(message: Message) -> list[Message]:
        step = np.full(3, steps[round_of(message) - 1], np.float16)
        return moving({"w": step})(message)

    return client


def halves(
    strategy: Strategy, *steps: float, defense: Any = None, **options: Any
) -> tuple[Recording, float]:
    """What two such clients make of the half-precision model."""
    kept = Recording(strategy, defense=defense or Mean(), **options)
    grid = Nodes(dict.fromkeys((1, 2), stepping(*steps)))
    result = kept.start(grid, record(HALF), num_rounds=len(steps))
    return kept, float(arrays_of(result.arrays)["w"][0])


class TestWithheld:
    """A round whose model cannot be used leaves nothing behind."""

    MOMENTUM = "the new model would hold NaN or Inf"

    def test_momentum_goes_on_from_where_it_was(self) -> None:
        """v = 20,000; 0.9 v + 10,000 would be 68,000; 0.9 v - 1,000 = 17,000."""
        momentum = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
        kept, end = halves(momentum, 20_000, 10_000, -1_000)
        assert [decided.held for decided in kept.all] == [None, self.MOMENTUM, None]
        assert end == pytest.approx(20_000 + 20_000 + 17_000, rel=2e-3)
        assert momentum.momentum_vector is not None
        assert float(momentum.momentum_vector[0][0]) == pytest.approx(-17_000, rel=2e-3)

    def test_overflowing_at_once_leaves_no_momentum(self) -> None:
        """It was None before the round, and not an array of another value."""
        momentum = FedAvgM(
            fraction_evaluate=0.0, server_momentum=0.9, server_learning_rate=4.0
        )
        _, end = halves(momentum, 20_000)
        assert momentum.momentum_vector is None
        assert end == 20_000

    def test_a_server_that_is_started_again_is_not_spoiled(self, tmp_path: Path) -> None:
        def momentum() -> Strategy:
            made: Strategy = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
            return made

        steps = (20_000, 10_000, -1_000)
        _, whole = halves(momentum(), *steps)
        halves(momentum(), *steps[:2], folder=tmp_path)
        state = load_state(tmp_path / "checkpoint.safetensors")
        for value in (
            *state.strategy["momentum_vector"],
            *arrays_of(state.arrays).values(),
        ):
            assert np.isfinite(value).all()
        _, parts = halves(momentum(), *steps, folder=tmp_path)
        assert parts == whole

    def test_what_the_defense_would_remember_is_forgotten(self) -> None:
        momentum = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
        kept, _ = halves(momentum, 20_000, 10_000, -1_000, defense=Counting())
        assert [decided.held is None for decided in kept.all] == [True, False, True]
        assert kept.progress.memory["rounds"] == 2

    def test_a_model_too_large_for_its_type_is_withheld(self) -> None:
        """Adaptive optimisers answer in double precision, where 100,000 is finite."""

        class Large(FedAvg):
            def aggregate_train(
                self, server_round: int, replies: Iterable[Message]
            ) -> tuple[ArrayRecord | None, MetricRecord | None]:
                return ArrayRecord({"w": Array(np.full(3, 1e5))}), None

        kept, end = halves(Large(fraction_evaluate=0.0), 1.0)
        assert kept.all[0].held == self.MOMENTUM
        assert end == 20_000

    def test_a_strategy_that_gives_no_model_is_named(self) -> None:
        class Silent(FedAvg):
            def aggregate_train(
                self, server_round: int, replies: Iterable[Message]
            ) -> tuple[ArrayRecord | None, MetricRecord | None]:
                return None, None

        kept, end = halves(Silent(fraction_evaluate=0.0), 1.0)
        assert kept.all[0].held == "Silent gave no model"
        assert end == 20_000


class Counting:
    """A rule of the user's own that counts the rounds it has seen."""

    selects, needs = False, 1

    def __call__(self, round: Round, /) -> Any:
        seen = round.memory.get("rounds", torch.tensor(0))
        return replace(Mean()(round), memory={"rounds": seen + 1})
