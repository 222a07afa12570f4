"""Arrays that are not parameters: batch normalisation's statistics and counters."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from tests.flower.grid import Client, Nodes, arrays_of, record, reply, sent
from tests.flower.releases import FedAvgM
from tests.flower.rounds import (
    BUFFERS,
    HONEST,
    SHAPES,
    START,
    honest,
    one_round,
    reasons,
    under,
)


class TestBuffers:
    def test_are_combined_over_the_accepted_and_never_clustered(self) -> None:
        def client(node: int) -> Client:
            def answer(message: Message) -> list[Message]:
                model = sent(honest(node)(message)[0])
                model["n.running_mean"] = np.array([node, 10.0], np.float32)
                model["n.num_batches_tracked"] = np.array(node)
                return [reply(message, model)]

            return answer

        start = {**START, **BUFFERS}
        clients = {node: client(node) for node in (1, 2, 3, 4, 6)}
        plain, expected, _ = one_round(under(clients), start=start)
        strategy, arrays, _ = one_round(clients, start=start)
        assert reasons(strategy) == reasons(plain)
        assert arrays is not None
        accepted = [node for node, reason in reasons(strategy).items() if reason is None]
        model = arrays_of(arrays)
        assert model["n.running_mean"].tolist() == pytest.approx(
            [np.median(accepted), 10.0]
        )
        assert model["n.running_mean"].dtype == np.float32
        assert model["n.num_batches_tracked"] == sorted(accepted)[(len(accepted) - 1) // 2]
        assert model["n.num_batches_tracked"].dtype == np.int64
        assert expected is not None
        for name in SHAPES:
            np.testing.assert_array_equal(model[name], arrays_of(expected)[name])

    @pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
    def test_an_absurd_statistic_is_refused(self, value: float) -> None:
        start = {**START, "n.running.mean": np.zeros(2, np.float32)}

        def client(message: Message) -> list[Message]:
            model = {**sent(message), "n.running.mean": np.full(2, value, np.float32)}
            return [reply(message, model)]

        strategy, _, _ = one_round(
            {**under(HONEST), 5: client},
            start=start,
            buffers=("*running.mean",),
        )
        assert reasons(strategy)[5] == "array 'n.running.mean' holds NaN or absurd values"

    def test_momentum_does_not_reach_them(self) -> None:
        start = record({**START, **BUFFERS})
        momentum = FedAvgM(fraction_evaluate=0.0, server_momentum=0.9)
        result = Defended(momentum).start(Nodes(HONEST), start, num_rounds=3)
        for name, kept in BUFFERS.items():
            np.testing.assert_array_equal(arrays_of(result.arrays)[name], kept)


NORM: dict[str, Any] = {
    "n.running_mean": np.zeros(2, np.float32),
    "n.running_var": np.ones(2, np.float32),
    "n.num_batches_tracked": np.array(0, np.int64),
}
"""What batch normalisation begins with."""


def measuring(node: int, **statistics: Any) -> Client:
    """An honest update with these statistics."""

    def client(message: Message) -> list[Message]:
        model = sent(honest(node)(message)[0])
        for name, values in statistics.items():
            kept = model[f"n.{name}"]
            model[f"n.{name}"] = np.broadcast_to(np.asarray(values, kept.dtype), kept.shape)
        return [reply(message, model)]

    return client


class TestForgedStatistics:
    def combined(self, forged: Client) -> tuple[dict[int, Any], Any]:
        """Reasons and the model after a round with three honest clients."""
        clients = {
            node: measuring(
                node, running_mean=node - 2, running_var=node, num_batches_tracked=7
            )
            for node in (1, 2, 3)
        }
        strategy, arrays, _ = one_round({**clients, 9: forged}, Mean(), {**START, **NORM})
        assert arrays is not None
        return reasons(strategy), arrays_of(arrays)

    @pytest.mark.parametrize("name", ["running_var", "num_batches_tracked"])
    def test_a_variance_or_counter_is_never_negative(self, name: str) -> None:
        told, model = self.combined(measuring(2, **{name: -1_000_000}))
        assert told == {
            **dict.fromkeys((1, 2, 3)),
            9: f"array 'n.{name}' holds negative values",
        }
        assert (model[f"n.{name}"] >= 0).all()

    def test_a_mean_may_be(self) -> None:
        """It begins at zero, so its sign says nothing."""
        told, _ = self.combined(measuring(2, running_mean=-0.5, running_var=1))
        assert told[9] is None

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_one_accepted_client_cannot_take_them_away(self, sign: int) -> None:
        """Honest: means -1, 0, 1, variances 1, 2, 3, and 7 batches."""
        told, model = self.combined(
            measuring(
                2, running_mean=sign * 1e9, running_var=1e9, num_batches_tracked=10**9
            )
        )
        assert told[9] is None
        assert model["n.running_mean"].tolist() == [sign * 0.5] * 2
        assert model["n.running_var"].tolist() == [2.5] * 2
        assert model["n.num_batches_tracked"] == 7

    def test_buffers_that_were_negative_may_stay_so(self) -> None:
        start = {**START, "x.running_var": np.full(2, -1.0, np.float32)}
        strategy, arrays, _ = one_round(HONEST, Mean(), start)
        assert set(reasons(strategy).values()) == {None}
        assert arrays is not None
        assert arrays_of(arrays)["x.running_var"].tolist() == [-1, -1]
