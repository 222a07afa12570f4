"""What accepted clients report on training; one of them can be an attacker."""

from collections.abc import Mapping, Sequence

import pytest
from flwr.app import Message, MetricRecord, RecordDict
from hypothesis import given, strategies as st

from fedward.defenses import FedAvg as Mean
from fedward.flower import Defended
from fedward.flower.replies import mean_metrics
from tests.flower.grid import Client, Nodes, record, reply, sent
from tests.flower.rounds import START, honest, one_round, wrapped

HUGE = 1.7e308


def telling(node: int, **metrics: float) -> Client:
    def client(message: Message) -> list[Message]:
        model = sent(honest(node)(message)[0])
        return [reply(message, model, {k.replace("_", "-"): v for k, v in metrics.items()})]

    return client


class TestMeanMetrics:
    def test_are_of_the_accepted_and_everybody_counts_once(self) -> None:
        clients = {
            1: telling(1, loss=1.0, num_examples=1),
            2: telling(2, loss=2.0, num_examples=1000),
            3: telling(3, loss=6.0, num_examples=1),
        }
        _, _, metrics = one_round(clients, Mean())
        assert metrics["loss"] == pytest.approx(3.0)
        assert "num-examples" not in metrics

    def test_what_half_report_is_kept(self) -> None:
        """2 of 4 report a, 1 of 4 reports b, and nobody else's a counts as zero."""
        told = [{"a": 1.0, "b": 9.0}, {"a": 4.0}, {}, {}]
        assert mean_metrics(told) == {"a": 2.5}

    def test_of_nobody_there_are_none(self) -> None:
        assert mean_metrics([]) == {}

    def test_the_largest_numbers_have_a_mean(self) -> None:
        assert mean_metrics([{"a": HUGE}, {"a": HUGE}]) == {"a": HUGE}

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
    def test_a_mean_is_among_its_values(self, values: Sequence[float]) -> None:
        found = mean_metrics([{"a": value} for value in values])["a"]
        assert min(values) <= found <= max(values)

    @given(
        honest=st.lists(st.floats(0, 1), min_size=2, max_size=6),
        forged=st.lists(
            st.dictionaries(st.sampled_from("abc"), st.floats(-1e9, 1e9)), max_size=5
        ),
    )
    def test_a_minority_decides_over_no_name(
        self, honest: Sequence[float], forged: Sequence[Mapping[str, float]]
    ) -> None:
        told = [{"a": value} for value in honest]
        assert set(mean_metrics([*told, *forged[: len(honest) - 1]])) == {"a"}


class TestTheServerGoesOn:
    @pytest.mark.parametrize(
        "hostile",
        [
            telling(9),
            telling(9, other=1.0),
            telling(9, loss=float("nan")),
            telling(9, loss=HUGE),
        ],
    )
    def test_with_metrics_that_the_operator_relies_on(self, hostile: Client) -> None:
        def aggregate(contents: list[RecordDict], weighted_by: str) -> MetricRecord:
            (told,) = (next(iter(c.metric_records.values())) for c in contents)
            loss = told["loss"]
            assert isinstance(loss, float)
            return MetricRecord({"loss": loss})

        strategy = Defended(wrapped(train_metrics_aggr_fn=aggregate), defense=Mean())
        clients = {node: telling(node, loss=0.5) for node in (1, 2)}
        result = strategy.start(Nodes({**clients, 9: hostile}), record(START), 2)
        assert sorted(result.train_metrics_clientapp) == [1, 2]
        loss = result.train_metrics_clientapp[1]["loss"]
        assert isinstance(loss, float)
        assert 0.5 <= loss <= HUGE

    def test_two_huge_reports_stay_finite(self) -> None:
        _, _, metrics = one_round({n: telling(n, loss=HUGE) for n in (1, 2)}, Mean())
        assert metrics["loss"] == HUGE
