import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord, Message
from flwr.serverapp.strategy import FedAvg
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
    sent,
)
from tests.flower.rounds import (
    HONEST,
    SHAPES,
    START,
    honest,
    one_round,
    reasons,
    same,
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

    def test_updates_in_a_file_are_decided_alike(self, tmp_path: Path) -> None:
        clients: dict[int, Client] = {**HONEST, 9: honest(9), 12: honest(12)}
        clients |= {5: lambda m: [failed(m)], 8: lambda m: 2 * honest(8)(m)}
        expected, arrays, _ = one_round(clients)
        found, again, _ = one_round(clients, resident=0, folder=tmp_path)
        assert expected.decided is not None
        assert found.decided is not None
        assert found.decided.verdicts == expected.decided.verdicts
        assert arrays is not None
        assert again is not None
        assert same(arrays, again)
        assert list(tmp_path.iterdir()) == []

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

    def test_aggregating_before_configuring_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="needs configure_train"):
            Defended().aggregate_train(1, [])

    def test_the_summary_names_the_defense(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "fedward.flower"):
            Defended(defense=Mean(weighted=True)).summary()
        assert "FedAvg(weighted=True) decides whose updates are used" in caplog.text
