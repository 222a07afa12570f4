import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, Krum, Strategy
from hypothesis import given, settings, strategies as st

from fedward.defenses import DEFENSES, FedAvg as Mean, Fedward
from fedward.flower import Defended
from fedward.flower.arrays import GlobalModel
from fedward.protocol import Round
from fedward.seeds import stream
from tests.flower.grid import (
    Client,
    Nodes,
    arrays_of,
    draw,
    failed,
    moving,
    record,
    reply,
    sent,
)
from tests.flower.rounds import (
    BUFFERS,
    HONEST,
    SHAPES,
    START,
    honest,
    one_round,
    reasons,
    same,
    under,
)


class TestWhatIsDecided:
    @pytest.mark.parametrize("name", sorted(DEFENSES))
    def test_every_defense_decides_as_it_does_on_the_same_rows(self, name: str) -> None:
        defense = DEFENSES[name]()
        strategy, arrays, _ = one_round(HONEST, defense)
        model = GlobalModel.of(record(START))
        nodes = sorted(HONEST)
        grid = Nodes(HONEST)
        asked = FedAvg(fraction_evaluate=0.0).configure_train(
            1, record(START), ConfigRecord(), grid
        )
        replies = {r.metadata.src_node_id: r for r in grid.send_and_receive(asked)}
        rows = torch.stack(
            [
                model.layout.flatten(
                    {k: torch.tensor(v) for k, v in sent(replies[n]).items()}
                )
                - model.params
                for n in nodes
            ]
        )
        decided = defense(
            Round(
                updates=rows,
                weights=torch.full((5,), 10.0),
                params=model.params,
                layout=model.layout,
                clients=torch.tensor([2, 7, 11, 30, -3]),
                index=0,
                generator=stream(0, "round", 0, "defense"),
            )
        )
        assert strategy.decided is not None
        assert tuple(strategy.decided.verdicts.values()) == decided.verdicts
        assert strategy.decided.held == decided.held
        if decided.held is None:
            assert arrays is not None
            expected = model.layout.unflatten(model.params + decided.update)
            for layer, values in arrays_of(arrays).items():
                np.testing.assert_array_equal(values, expected[layer])

    def test_a_client_that_goes_another_way_is_rejected(self) -> None:
        away = moving({name: -values for name, values in draw(0, SHAPES).items()})
        strategy, _, metrics = one_round({**HONEST, 5: away})
        assert reasons(strategy)[5] == "outside the majority group"
        accepted = sum(reason is None for reason in reasons(strategy).values())
        assert (metrics["accepted"], metrics["rejected"]) == (accepted, 6 - accepted)
        assert metrics["held"] == 0
        assert metrics["eps"] > 0  # type: ignore[operator]
        assert metrics["bound"] > 0  # type: ignore[operator]
        assert "defend-seconds" in metrics

    @settings(max_examples=10, deadline=None)
    @given(order=st.permutations(range(5)))
    def test_the_order_of_replies_changes_no_bit(self, order: Sequence[int]) -> None:
        _, expected, _ = one_round(HONEST)
        strategy, arrays, _ = one_round(
            HONEST, order=lambda replies: [replies[place] for place in order]
        )
        assert expected is not None
        assert arrays is not None
        assert same(arrays, expected)
        assert strategy.decided is not None
        assert list(strategy.decided.verdicts) == sorted(HONEST)

    def test_lying_about_samples_buys_nothing(self) -> None:
        def liar(message: Message) -> list[Message]:
            content = honest(7)(message)[0].content
            content.metric_records["metrics"]["num-examples"] = 10**8
            return [Message(content, reply_to=message)]

        _, expected, _ = one_round(HONEST)
        _, arrays, _ = one_round({**HONEST, 7: liar})
        assert expected is not None
        assert arrays is not None
        assert same(arrays, expected)

    def test_metrics_of_the_accepted_are_averaged_each_once(self) -> None:
        def told(node: int, loss: float, samples: int) -> Client:
            def client(message: Message) -> list[Message]:
                model = sent(honest(node)(message)[0])
                return [reply(message, model, {"loss": loss, "num-examples": samples})]

            return client

        clients = {1: told(1, 1.0, 1), 2: told(2, 2.0, 1000), 3: told(3, 6.0, 1)}
        _, _, metrics = one_round(clients, Mean())
        assert metrics["loss"] == pytest.approx(3.0)
        assert "num-examples" not in metrics


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
        assert model["n.running_mean"].tolist() == pytest.approx([np.mean(accepted), 10.0])
        assert model["n.running_mean"].dtype == np.float32
        assert model["n.num_batches_tracked"] == max(accepted)
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


def evaluating(**metrics: Any) -> Client:
    def client(message: Message) -> list[Message]:
        if message.metadata.message_type.startswith("train"):
            return honest(1)(message)
        held = {k.replace("_", "-"): v for k, v in metrics.items()}
        return [Message(RecordDict({"metrics": MetricRecord(held)}), reply_to=message)]

    return client


class TestEvaluation:
    def test_goes_to_the_wrapped_strategy_and_no_client_counts_more(self) -> None:
        clients = {
            node: evaluating(num_examples=samples, accuracy=accuracy)
            for node, (samples, accuracy) in enumerate([(1, 0.5), (1, 0.7), (10**8, 0.9)])
        }
        result = Defended(FedAvg(), defense=Mean()).start(Nodes(clients), record(START), 1)
        assert result.evaluate_metrics_clientapp[1]["accuracy"] == pytest.approx(0.7)

    @pytest.mark.parametrize(
        "hostile",
        [
            evaluating(num_examples=1, loss=1.0),
            evaluating(accuracy=1.0),
            evaluating(num_examples=np.nan, accuracy=1.0),
            evaluating(num_examples=1, accuracy=np.nan),
            lambda message: [*honest(1)(message), *honest(1)(message)],
            lambda message: [failed(message)],
        ],
    )
    def test_no_reply_can_stop_the_server(self, hostile: Client) -> None:
        clients = {n: evaluating(num_examples=1, accuracy=0.5) for n in (1, 2, 3)}

        def client(message: Message) -> list[Message]:
            training = message.metadata.message_type.startswith("train")
            return honest(1)(message) if training else hostile(message)

        result = Defended(FedAvg(), defense=Mean()).start(
            Nodes({**clients, 9: client}), record(START), 1
        )
        assert dict(result.evaluate_metrics_clientapp[1]) == {
            "accuracy": pytest.approx(0.5)
        }


class TestMaking:
    def test_fedavg_and_fedward_are_the_defaults(self) -> None:
        strategy = Defended()
        assert isinstance(strategy.strategy, FedAvg)
        assert strategy.defense == Fedward()

    def test_what_is_not_a_strategy_or_a_defense_is_refused(self) -> None:
        with pytest.raises(TypeError):
            Defended("fedavg")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            Defended(defense=Fedward)  # type: ignore[arg-type]

    def test_a_strategy_that_chooses_itself_is_refused(self) -> None:
        with pytest.raises(ValueError, match="Krum chooses among the replies itself"):
            Defended(Krum(num_malicious_nodes=1))

    def test_aggregating_before_configuring_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="needs configure_train"):
            Defended().aggregate_train(1, [])

    def test_the_summary_names_the_defense(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "fedward.flower"):
            Defended(defense=Mean(weighted=True)).summary()
        assert "FedAvg(weighted=True) decides whose updates are used" in caplog.text
