"""What a deployment with clients of every kind leaves behind."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file

from lab import training

ROUNDS, HANGING_ROUND = 3, 2

ROLES = {
    **{f"honest-{i}": "honest" for i in range(4)},
    "slow": "slow",
    "malicious-0": "malicious",
    "malicious-1": "malicious",
    "lying": "lying",
    "crashing": "crashing",
    "doomed": "doomed",
}
"""Kind of every SuperNode; the place in the order is its share of the images."""

HONEST = {name for name in ROLES if name.startswith("honest")} | {"slow", "doomed"}

ROGUES = ("stranger", "plain")
"""One whose key nobody knows, and one that talks without TLS."""

AWAY = {"slow": [HANGING_ROUND], "doomed": [*range(HANGING_ROUND, ROUNDS + 1)]}
"""The rounds in which a client is not to answer in time."""

SILENT, FAILED = "no reply in time", "the client failed: "


@dataclass
class Outcome:
    """What is left when everything has ended."""

    folder: Path
    results: Path
    nodes: dict[str, int]
    rogues: set[int]
    groups: list[int]
    logs: dict[str, str]
    seconds: float

    def lines(self, name: str) -> list[dict[str, Any]]:
        return read_lines(self.results / name)

    def verdicts(self, server_round: int) -> dict[str, dict[str, Any]]:
        """By name of the node."""
        names = {node: name for name, node in self.nodes.items()}
        return {
            names[line["client"]]: line
            for line in self.lines("verdicts.jsonl")
            if line["round"] == server_round - 1
        }

    def unheard(self) -> dict[str, set[int]]:
        """The rounds in which each node was asked, or not, and nothing usable came."""
        rounds = {index: self.verdicts(index) for index in range(1, ROUNDS + 1)}
        return {
            name: {
                index
                for index, verdicts in rounds.items()
                if name not in verdicts
                or verdicts[name]["reason"].startswith((SILENT, FAILED))
            }
            for name in self.nodes
        }

    def lost(self) -> list[tuple[str, int]]:
        """Nodes and rounds in which a reply should have come and did not."""
        lost = [
            (name, index)
            for name, rounds in self.unheard().items()
            for index in sorted(rounds.difference(AWAY.get(name, ())))
        ]
        # Of the client that always fails, the message that says so should have come.
        return [
            (name, index)
            for name, index in lost
            if ROLES[name] != "crashing"
            or (index != HANGING_ROUND and self.verdicts(index)[name]["reason"] == SILENT)
        ]

    @property
    def model(self) -> dict[str, NDArray[Any]]:
        held = load_file(self.results / "checkpoint.safetensors")
        return {name: held[f"model/{name}"] for name in training.untrained()}


def read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
