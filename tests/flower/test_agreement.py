"""The example app under Flower and our simulator are the same federation."""

import json
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp.strategy import FedAvg
from safetensors.numpy import load_file

from fedward.data.sources import load
from fedward.engine.loop import Reference
from fedward.layout import Layout
from fedward.protocol import Verdict
from fedward.simulation.federation import federation
from fedward.simulation.folder import read_lines
from fedward.simulation.records import RoundRecord
from fedward.simulation.rounds import simulate
from flower_mnist.client_app import app as client_app
from flower_mnist.task import settings
from tests.flower.grid import Client, Nodes, arrays_of
from tests.flower.releases import needs_commands
from tests.flower.rounds import Recording
from tests.needs import missing

EXAMPLE = Path(__file__).parents[2] / "examples" / "flower-mnist"
APP = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
CONFIG: dict[str, Any] = {
    **APP["config"],
    "data": "synthetic",
    "rounds": 3,
    "attack-from": 2,
    "epochs": 1,
}
CLIENTS = int(CONFIG["clients"])


@cache
def simulated(**changes: Any) -> tuple[list[RoundRecord], torch.Tensor]:
    config = {**CONFIG, **changes}
    fed = federation(settings(config), load(config["data"]), Reference())
    rounds = list(simulate(fed))
    return [record for _, record in rounds], rounds[-1][0].params


def client(place: int, config: dict[str, Any]) -> Client:
    def answer(message: Message) -> list[Message]:
        node: dict[str, Any] = {"partition-id": place, "num-partitions": CLIENTS}
        context = Context(
            run_id=1, node_id=1, node_config=node, state=RecordDict(), run_config=config
        )
        return [client_app(message, context)]

    return answer


def in_flower(
    config: dict[str, Any], nodes: list[int]
) -> tuple[list[tuple[Verdict, ...]], torch.Tensor]:
    """Verdicts by client in every round, and the parameters, with these node ids."""
    run = settings(config)
    fed = federation(run, load(config["data"]), Reference())
    wrapped = FedAvg(fraction_evaluate=0.0, min_evaluate_nodes=0)
    strategy = Recording(wrapped, defense=run.defense, seed=run.seed)
    grid = Nodes({node: client(place, config) for place, node in enumerate(nodes)})
    start = ArrayRecord(fed.model.state_dict())
    result = strategy.start(grid, start, num_rounds=run.rounds)
    verdicts = [tuple(decided.verdicts[node] for node in nodes) for decided in strategy.all]
    model = {k: torch.tensor(v) for k, v in arrays_of(result.arrays).items()}
    return verdicts, Layout.of(fed.model).flatten(model)


@pytest.mark.parametrize("defense", ["fedward", "fedavg"])
def test_same_verdicts_and_parameters(defense: str) -> None:
    config = {**CONFIG, "defense": defense}
    records, params = simulated(defense=defense)
    assert any(record.attacked for record in records)
    if defense == "fedward":
        assert any(record.admitted_attackers < record.attackers for record in records)
    verdicts, found = in_flower(config, list(range(1, CLIENTS + 1)))
    for record, decided in zip(records, verdicts, strict=True):
        assert tuple(line.verdict for line in record.clients) == decided
    torch.testing.assert_close(found, params, rtol=0, atol=0)


def test_other_node_ids_change_rounding_only() -> None:
    records, params = simulated(defense="fedward")
    verdicts, found = in_flower(CONFIG, [70, 3, 1 << 63, 12, (1 << 64) - 1, 5, 99, 4])
    for record, decided in zip(records, verdicts, strict=True):
        for line, verdict in zip(record.clients, decided, strict=True):
            assert line.verdict.accepted == verdict.accepted
            assert line.verdict.reason == verdict.reason
            assert verdict.norm == pytest.approx(line.verdict.norm, rel=1e-4)
    torch.testing.assert_close(found, params, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_flowers_own_simulation(tmp_path: Path) -> None:
    """``simulate.py`` of the example: one command, Flower's simulation runtime with Ray."""
    needs_commands()
    if find_spec("ray") is None:
        missing("the extra 'simulation'")
    words = ["--data", "synthetic", "--rounds", "3", "--folder", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "simulate.py"), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "run-fedward"
    records, params = simulated(**{**APP["config"], "data": "synthetic", "rounds": 3})
    lines = read_lines(results / "rounds.jsonl")
    for record, line in zip(records, lines, strict=True):
        assert line["ma"] == pytest.approx(record.ma)
        assert line["facts"] == pytest.approx(dict(record.facts), rel=1e-4)
        accepted = sum(c.verdict.accepted for c in record.clients)
        verdicts = [
            v for v in read_lines(results / "verdicts.jsonl") if v["round"] == record.round
        ]
        assert sum(v["accepted"] for v in verdicts) == accepted
    held = load_file(results / "checkpoint.safetensors")
    layout = json.loads((results / "config.json").read_text())["arrays"]
    model = np.concatenate([held[f"model/{name}"].ravel() for name in layout])
    np.testing.assert_allclose(model, params.numpy(), rtol=1e-3, atol=1e-5)
