import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAdam, FedAvg, Strategy
from safetensors import SafetensorError

from fedward.defenses import AFA, FedAvg as Mean, Fedward
from fedward.flower import Defended
from fedward.flower.state import (
    ServerState,
    load_state,
    save_state,
)
from fedward.simulation.folder import RunLocked, read_lines
from tests.flower.grid import Client, Nodes, draw, moving, record, round_of, sent
from tests.flower.releases import FedAvgM, needs_scalars
from tests.flower.rounds import BUFFERS, HONEST, SHAPES, START, Around, same

MODEL = {**START, **BUFFERS}


def drifting(node: int) -> Client:
    """Deterministic, another update in every round and from every model."""

    def client(message: Message) -> list[Message]:
        noise = draw(1000 * round_of(message) + node, SHAPES, 0.1)
        pull = {n: 1 - 0.1 * sent(message)[n] + noise[n] for n in SHAPES}
        return moving(pull)(message)

    return client


FEDWARD = Fedward()
CLIENTS = {node: drifting(node) for node in (1, 2, 3, 4, 5, 6, 8)}


class Killed(BaseException):
    """Not an error that anybody would handle."""


def killed_in(round: int, node: int) -> Client:
    def client(message: Message) -> list[Message]:
        if round_of(message) == round:
            raise Killed
        return drifting(node)(message)

    return client


def measure(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    total = sum(float(array.numpy().sum()) for array in arrays.values())
    return MetricRecord({"accuracy": 0.5, "asr whole": 0.25, "sum": total})


def run(
    folder: Path | None,
    strategy: Strategy,
    rounds: int,
    clients: dict[int, Client] = CLIENTS,
    defense: Any = FEDWARD,
    **options: Any,
) -> Any:
    defended = Defended(strategy, defense=defense, folder=folder, **options)
    grid = Nodes(clients)
    result = defended.start(grid, record(MODEL), rounds, evaluate_fn=measure)
    return result, grid.asked


def adaptive() -> FedAdam:
    needs_scalars()
    return FedAdam(fraction_evaluate=0.0)


MAKERS: dict[str, Callable[[], Strategy]] = {
    "FedAvg": lambda: FedAvg(fraction_evaluate=0.0),
    "FedAvgM": lambda: FedAvgM(fraction_evaluate=0.0, server_momentum=0.9),
    "FedAdam": adaptive,
    "around FedAvgM": lambda: Around(MAKERS["FedAvgM"]()),
    "sampled": lambda: FedAvg(fraction_evaluate=0.0, fraction_train=0.75),
}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_two_rounds_and_four_more_are_six(name: str, tmp_path: Path) -> None:
    whole, asked = run(tmp_path / "whole", MAKERS[name](), 6)
    _, first = run(tmp_path / "parts", MAKERS[name](), 2)
    parts, second = run(tmp_path / "parts", MAKERS[name](), 6)
    assert same(parts.arrays, whole.arrays)
    assert first + second == asked
    assert sorted(parts.train_metrics_clientapp) == [3, 4, 5, 6]
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_killed_in_the_middle_of_a_round(name: str, tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", MAKERS[name](), 4)
    # Whoever is asked: type checks draw from the generator that samples nodes.
    deadly = {node: killed_in(3, node) for node in CLIENTS}
    with pytest.raises(Killed):
        run(tmp_path / "parts", MAKERS[name](), 4, deadly)
    parts, _ = run(tmp_path / "parts", MAKERS[name](), 4)
    assert same(parts.arrays, whole.arrays)
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


def test_killed_after_the_lines_were_written_and_before_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(tmp_path / "whole", MAKERS["FedAvgM"](), 3)
    run(tmp_path / "parts", MAKERS["FedAvgM"](), 2)

    def die(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("fedward.flower.journal.save_state", die)
        with pytest.raises(Killed):
            run(tmp_path / "parts", MAKERS["FedAvgM"](), 3)
    assert len(read_lines(tmp_path / "parts" / "rounds.jsonl")) == 3
    parts, _ = run(tmp_path / "parts", MAKERS["FedAvgM"](), 3)
    assert same(parts.arrays, whole.arrays)
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


def test_what_a_defense_remembers_survives(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", MAKERS["FedAvg"](), 4, defense=AFA())
    run(tmp_path / "parts", MAKERS["FedAvg"](), 2, defense=AFA())
    parts, _ = run(tmp_path / "parts", MAKERS["FedAvg"](), 4, defense=AFA())
    assert load_state(tmp_path / "parts" / "checkpoint.safetensors").memory
    assert same(parts.arrays, whole.arrays)


def test_nothing_is_left_to_do(tmp_path: Path) -> None:
    whole, _ = run(tmp_path, MAKERS["FedAvg"](), 2)
    again, asked = run(tmp_path, MAKERS["FedAvg"](), 2)
    assert asked == []
    assert same(again.arrays, whole.arrays)


def test_the_seed_alone_decides_who_is_sampled(tmp_path: Path) -> None:
    _, asked = run(None, MAKERS["sampled"](), 4)
    backwards = dict(reversed(CLIENTS.items()))
    _, again = run(None, MAKERS["sampled"](), 4, backwards)
    _, other = run(None, MAKERS["sampled"](), 4, seed=1)
    assert asked == again
    assert asked != other
    assert len({tuple(nodes) for nodes in asked}) > 1


@pytest.mark.parametrize(
    ("change", "name"),
    [({"defense": Mean()}, "defense"), ({"seed": 5}, "seed")],
)
def test_another_deployments_folder_is_refused(
    change: dict[str, Any], name: str, tmp_path: Path
) -> None:
    run(tmp_path, MAKERS["FedAvg"](), 1)
    with pytest.raises(ValueError, match=f"holds a deployment whose {name} is"):
        run(tmp_path, MAKERS["FedAvg"](), 2, **change)
    with pytest.raises(ValueError, match="whose strategy is FedAvg, got FedAdam"):
        run(tmp_path, MAKERS["FedAdam"](), 2)
    with pytest.raises(ValueError, match=r"is FedAvg, got Around\(FedAvg\)"):
        run(tmp_path, Around(MAKERS["FedAvg"]()), 2)


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    defended = Defended(folder=tmp_path)
    assert defended.journal is not None
    with defended.journal.locked(), pytest.raises(RunLocked):
        run(tmp_path, MAKERS["FedAvg"](), 1)


class TestFolder:
    def test_lines_have_the_simulators_fields(self, tmp_path: Path) -> None:
        run(tmp_path, MAKERS["FedAvg"](), 2)
        line = read_lines(tmp_path / "rounds.jsonl")[1]
        assert line["round"] == 1
        assert line["ma"] == 0.5
        assert line["asr"] == {"whole": 0.25}
        assert line["clients"] == len(CLIENTS)
        assert set(line["facts"]) == {"eps", "bound", "min_samples"}
        assert set(line["seconds"]) == {"train", "defend", "evaluate"}
        verdict = read_lines(tmp_path / "verdicts.jsonl")[0]
        assert list(verdict) == [
            *("round", "client", "malicious", "rarity", "accepted", "reason", "norm"),
            *("factor", "distance", "core_distance", "reachability", "position"),
        ]

    def test_who_attacks_is_not_known(self, tmp_path: Path) -> None:
        run(tmp_path, MAKERS["FedAvg"](), 1)
        line = read_lines(tmp_path / "rounds.jsonl")[0]
        for name in ("attacked", "attackers", "admitted_attackers", "rejected_benign"):
            assert line[name] is None
        verdicts = read_lines(tmp_path / "verdicts.jsonl")
        assert all(verdict["malicious"] is None for verdict in verdicts)

    def test_but_in_a_drill(self, tmp_path: Path) -> None:
        away = moving({name: -values for name, values in draw(0, SHAPES).items()})
        drill = frozenset({5})
        run(tmp_path, MAKERS["FedAvg"](), 1, {**HONEST, 5: away}, attackers=drill)
        line = read_lines(tmp_path / "rounds.jsonl")[0]
        assert line["attacked"] is True
        assert line["attackers"] == 1
        assert line["admitted_attackers"] == 0
        rejected = [
            verdict
            for verdict in read_lines(tmp_path / "verdicts.jsonl")
            if not verdict["accepted"]
        ]
        assert line["rejected_benign"] == len(rejected) - 1

    def test_settings_and_figures(self, tmp_path: Path) -> None:
        run(tmp_path / "a", MAKERS["FedAvg"](), 2)
        config = json.loads((tmp_path / "a" / "config.json").read_text())
        assert config["defense"]["name"] == "fedward"
        assert config["rounds"] == 2
        result = json.loads((tmp_path / "a" / "result.json").read_text())
        assert result["rounds"] == 2
        assert result["name"] == "a"
        assert result["metrics"] == {"ma_final": 0.5, "held": 0.0}
        run(tmp_path / "b", MAKERS["FedAvg"](), 2)
        other = json.loads((tmp_path / "b" / "result.json").read_text())
        assert other["params_sha256"] == result["params_sha256"]


class TestState:
    STATE = ServerState(
        next_round=3,
        arrays=record({"b": np.ones((2, 1), np.float16), "a": np.array(7)}),
        memory={},
        strategy={
            "moment": [np.ones(2), np.array(3.0)],
            "by_name": {"z": np.zeros((0, 2)), "a": np.ones(1, np.int8)},
            "single": np.arange(3),
            "model": record({"w": np.ones(1)}),
        },
        lines={"rounds": 10, "verdicts": 20},
        settings={"seed": 0},
    )

    def test_comes_back_as_it_was(self, tmp_path: Path) -> None:
        save_state(tmp_path / "state", self.STATE)
        found = load_state(tmp_path / "state")
        assert found.next_round == 3
        assert same(found.arrays, self.STATE.arrays)
        assert found.lines == self.STATE.lines
        assert found.settings == self.STATE.settings
        assert list(found.strategy) == list(self.STATE.strategy)
        for one, two in zip(
            found.strategy["moment"], self.STATE.strategy["moment"], strict=True
        ):
            np.testing.assert_array_equal(one, two)
            assert one.shape == two.shape
        assert list(found.strategy["by_name"]) == ["z", "a"]
        assert found.strategy["by_name"]["a"].dtype == np.int8
        assert found.strategy["single"].tolist() == [0, 1, 2]
        assert same(found.strategy["model"], self.STATE.strategy["model"])

    def test_a_crash_while_saving_leaves_the_old_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "state"
        save_state(path, self.STATE)
        before = path.read_bytes()

        def die(*args: Any) -> None:
            raise Killed

        monkeypatch.setattr("fedward.simulation.folder.os.replace", die)
        with pytest.raises(Killed):
            save_state(path, self.STATE)
        assert path.read_bytes() == before

    def test_a_damaged_file_is_said_to_be_one(self, tmp_path: Path) -> None:
        path = tmp_path / "state"
        save_state(path, self.STATE)
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(SafetensorError):
            load_state(path)


def without_times(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rounds = read_lines(folder / "rounds.jsonl")
    for line in rounds:
        del line["seconds"]
    return rounds, read_lines(folder / "verdicts.jsonl")
