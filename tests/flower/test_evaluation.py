"""What clients report on evaluation, and the server's own."""

import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from tests.flower.grid import Client, Nodes, failed, record
from tests.flower.rounds import START, honest


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

    @pytest.mark.parametrize("answering", [True, False])
    def test_a_forger_cannot_silence_the_others(
        self, answering: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It sends replies in the others' names, to its own message or to none."""
        forge = evaluating(num_examples=1, accuracy=1.0)

        def forger(message: Message) -> list[Message]:
            if message.metadata.message_type.startswith("train"):
                return honest(1)(message)
            replies = [forge(message)[0] for _ in (1, 2, 3)]
            for node, reply in enumerate(replies, start=1):
                reply.metadata.__dict__["_src_node_id"] = node
                if not answering:
                    reply.metadata.__dict__["_reply_to_message_id"] = "nothing"
            return replies

        clients = {n: evaluating(num_examples=1, accuracy=0.5) for n in (1, 2, 3)}
        with caplog.at_level(logging.WARNING, "fedward.flower"):
            result = Defended(FedAvg(), defense=Mean()).start(
                Nodes({**clients, 9: forger}), record(START), 1
            )
        assert dict(result.evaluate_metrics_clientapp[1]) == {
            "accuracy": pytest.approx(0.5)
        }
        said = "evaluation of node 9 is not used: 3 replies instead of one"
        dropped = "a reply named node 1 answers no message: dropped"
        assert (said if answering else dropped) in caplog.text

    def test_only_nodes_that_were_asked_count(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def uninvited(replies: list[Message]) -> list[Message]:
            last = replies[-1]
            if not last.metadata.message_type.startswith("evaluate"):
                return replies
            extra = Message(
                RecordDict({"metrics": MetricRecord({"num-examples": 1, "accuracy": 1.0})}),
                reply_to=last,
            )
            extra.metadata.__dict__["_src_node_id"] = 99
            extra.metadata.__dict__["_reply_to_message_id"] = "nothing"
            return [*replies, extra]

        clients = {n: evaluating(num_examples=1, accuracy=0.5) for n in (1, 2, 3)}
        with caplog.at_level(logging.WARNING, "fedward.flower"):
            result = Defended(FedAvg(), defense=Mean()).start(
                Nodes(clients, uninvited), record(START), 1
            )
        assert result.evaluate_metrics_clientapp[1]["accuracy"] == pytest.approx(0.5)
        assert "node 99 is not used: the node was not asked this round" in caplog.text
