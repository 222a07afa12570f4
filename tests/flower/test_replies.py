import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from fedward.defenses import FedAvg as Mean
from fedward.flower import Limits
from fedward.protocol import Round
from tests.flower.grid import (
    Client,
    failed,
    moving,
    record,
    reply,
    sent,
)
from tests.flower.rounds import (
    HONEST,
    honest,
    one_round,
    reasons,
    same,
)


def other_record(message: Message) -> list[Message]:
    return [reply(message, sent(message), extra=record({"x": np.zeros(1)}))]


def changed(**arrays: Any) -> Client:
    def client(message: Message) -> list[Message]:
        model = {**sent(message), **{k.replace("_", "."): v for k, v in arrays.items()}}
        return [reply(message, {k: v for k, v in model.items() if v is not None})]

    return client


def numbers(**metrics: Any) -> Client:
    return lambda message: [
        reply(message, sent(message), {k.replace("_", "-"): v for k, v in metrics.items()})
    ]


def without_metrics(message: Message) -> list[Message]:
    content = RecordDict({"arrays": record(sent(message))})
    return [Message(content, reply_to=message)]


def filled(value: float) -> Client:
    return changed(a_bias=np.full(4, value, np.float32))


HOSTILE: dict[str, tuple[Client, str]] = {
    "missing array": (changed(a_bias=None), "array 'a.bias' is missing"),
    "extra array": (changed(z=np.zeros(1)), "4 arrays, the model has 3"),
    "renamed array": (
        changed(a_bias=None, a_bios=np.zeros(4, np.float32)),
        "array 'a.bias' is missing",
    ),
    "wrong shape": (changed(a_bias=np.zeros(5, np.float32)), "needs shape (4,), got (5,)"),
    "wrong type": (changed(a_bias=np.zeros(4, np.int32)), "needs type float32, got int32"),
    "NaN": (filled(np.nan), "the update holds NaN or Inf"),
    "Inf": (filled(np.inf), "the update holds NaN or Inf"),
    "absurd norm": (
        filled(1e30),
        "the update's norm is 2e+30, over 1000 times",
    ),
    "empty record": (lambda m: [reply(m, {})], "array 'a.weight' is missing"),
    "two records": (other_record, "2 array records instead of one"),
    "empty content": (
        lambda m: [Message(RecordDict(), reply_to=m)],
        "0 array records instead of one",
    ),
    "no metrics": (without_metrics, "0 metric records instead of one"),
    "oversize record": (
        lambda m: [reply(m, sent(m), big=ConfigRecord({"x": b"x" * (2 << 20)}))],
        "bytes beside the arrays, at most 1048576 allowed",
    ),
    "oversize metrics": (
        numbers(x=[0.0] * 200_000),
        "bytes beside the arrays, at most 1048576 allowed",
    ),
    "error": (lambda m: [failed(m)], "the client failed: out of memory"),
    "silent error": (lambda m: [failed(m, None)], "the client failed: no reason given"),
    "forged log line": (
        lambda m: [failed(m, "oh\n\x1b[2Kround 9: all is well")],
        "the client failed: oh ?[2Kround 9: all is well",
    ),
    "two replies": (lambda m: honest(1)(m) + honest(2)(m), "2 replies instead of one"),
    "no reply": (lambda m: [], "no reply in time"),
    "sample count missing": (
        lambda m: [Message(without_metrics(m)[0].content, reply_to=m)],
        "0 metric records instead of one",
    ),
    "negative samples": (numbers(num_examples=-5), "is -5, not between 0 and 1e+09"),
    "no samples": (numbers(num_examples=0), "is 0, not between 0 and 1e+09"),
    "too many samples": (numbers(num_examples=10**12), "is 1e+12, not between"),
    "samples are NaN": (numbers(num_examples=np.nan), "is nan, not between"),
    "list of samples": (numbers(num_examples=[1, 2]), "'num-examples' is not a number"),
}


class TestHostileReplies:
    @pytest.mark.parametrize("kind", sorted(HOSTILE))
    def test_is_a_verdict_with_its_reason_and_the_round_goes_on(self, kind: str) -> None:
        client, reason = HOSTILE[kind]
        _, expected, _ = one_round(HONEST)
        strategy, arrays, metrics = one_round({**HONEST, 5: client})
        told = reasons(strategy)
        assert told[5] is not None
        assert reason in told[5]
        assert metrics["held"] == 0
        assert expected is not None
        assert arrays is not None
        assert same(arrays, expected)

    @pytest.mark.parametrize("kind", sorted(HOSTILE))
    def test_five_of_a_kind_hold_the_round(self, kind: str) -> None:
        client, _ = HOSTILE[kind]
        three = {node: HONEST[node] for node in (11, 7, 2)}
        strategy, arrays, metrics = one_round(
            {**three, **dict.fromkeys(range(40, 45), client)}
        )
        assert arrays is None
        assert metrics["held"] == 1
        assert metrics["accepted"] == 0
        assert strategy.decided is not None
        assert strategy.decided.held == "Fedward needs at least 4 usable updates, got 3"
        assert reasons(strategy)[11] == strategy.decided.held

    def test_nobody_answers(self) -> None:
        strategy, arrays, metrics = one_round(dict.fromkeys((1, 2), lambda message: []))
        assert arrays is None
        assert metrics["held"] == 1
        assert set(reasons(strategy).values()) == {"no reply in time"}

    def test_a_reply_under_anothers_name_is_refused_and_the_other_is_not_harmed(
        self,
    ) -> None:
        def forger(message: Message) -> list[Message]:
            forged = honest(5)(message)[0]
            forged.metadata.__dict__["_src_node_id"] = 7
            return [forged]

        strategy, _, _ = one_round({**HONEST, 5: forger})
        assert reasons(strategy)[5] == "the reply names another node as its sender"
        assert reasons(strategy)[7] != reasons(strategy)[5]

    def test_a_reply_to_no_message_is_not_the_others_second(self) -> None:
        def stray(replies: list[Message]) -> list[Message]:
            extra = Message(replies[0].content, reply_to=replies[0])
            extra.metadata.__dict__["_src_node_id"] = 7
            extra.metadata.__dict__["_reply_to_message_id"] = "nothing"
            return [extra, *replies]

        expected, _, _ = one_round(HONEST)
        strategy, _, _ = one_round(HONEST, order=stray)
        assert reasons(strategy) == reasons(expected)

    def test_a_node_that_was_not_asked_is_refused(self) -> None:
        def uninvited(replies: list[Message]) -> list[Message]:
            extra = Message(replies[0].content, reply_to=replies[0])
            extra.metadata.__dict__["_src_node_id"] = 99
            extra.metadata.__dict__["_reply_to_message_id"] = "nothing"
            return [*replies, extra]

        strategy, _, _ = one_round(HONEST, order=uninvited)
        assert reasons(strategy)[99] == "the node was not asked this round"

    def test_limits_are_the_operators(self) -> None:
        strategy, arrays, _ = one_round(HONEST, limits=Limits(norm_ratio=1e-3))
        assert arrays is None
        assert all(
            "over 0.001 times" in str(reason) for reason in reasons(strategy).values()
        )

    def test_it_is_said_who_is_rejected(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "fedward.flower"):
            one_round({**HONEST, 5: lambda message: [failed(message)]})
        assert "round 1: node 5 rejected: the client failed: out of memory" in caplog.text
        assert "of 6 replies used" in caplog.text

    def test_an_aggregate_that_overflows_keeps_the_model(self) -> None:
        half = {"w": np.full(3, 60000, np.float16)}
        grow = moving({"w": np.full(3, 4000, np.float16)})
        strategy, arrays, _ = one_round({1: grow, 2: grow}, Doubling(), half)
        assert arrays is None
        assert strategy.decided is not None
        assert strategy.decided.held == "the new model would hold NaN or Inf"
        assert set(reasons(strategy).values()) == {"the new model would hold NaN or Inf"}


class Doubling:
    """A rule of the user's own."""

    selects, needs = False, 1

    def __call__(self, round: Round, /) -> Any:
        decided = Mean()(round)
        return replace(decided, update=2 * decided.update)
