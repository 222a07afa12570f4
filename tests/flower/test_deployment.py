"""The real thing: SuperLink and SuperNodes on loopback, with TLS and known keys.

Ten clients train on real images: five honest ones, one of which is too slow in round 2, two
that plant a backdoor, one that lies about its sample count, one that fails or dies whenever
it is asked, and one whose SuperNode is killed. In round 3 the server is killed too, and
started again; the operator has taken out the killed SuperNode.

On a busy machine Flower itself now and then loses a reply. A SuperNode drops what it cannot
push, and one that was fetching a message when the SuperLink died takes the answer to that
for the next one's, which it then keeps to itself. One a round is borne with, of another
node each time, and the run held against this one leaves out the same.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from flwr.serverapp.strategy import FedAvg

from certificates import node_key
from deployment import Deployment
from fedward.defenses import FedAvg as Mean, Fedward
from fedward.flower import Defended
from fedward.protocol import Defense
from lab import training
from tests.flower.grid import Nodes, arrays_of, failed, record, reply, round_of, sent
from tests.flower.outcome import (
    AWAY,
    FAILED,
    HANGING_ROUND,
    HONEST,
    ROGUES,
    ROLES,
    ROUNDS,
    SILENT,
    Outcome,
    read_lines,
)
from tests.flower.releases import needs_commands

needs_commands()

HERE = Path(__file__).parent

SLOWNESS = float(os.environ.get("FEDWARD_SLOWNESS", "1"))
"""How many times slower this machine is than a quiet one with two processor cores."""

BUDGET = 220.0 * SLOWNESS
"""Seconds for everything together."""

LATE = 8.0 * SLOWNESS
"""Seconds by which the slow client misses its round; so long the next one cannot end."""


def wait(
    what: str, happened: Callable[[], bool], deployment: Deployment, end: float
) -> None:
    while not happened():
        if time.monotonic() > end:
            logs = "\n".join(deployment.log(name)[-3000:] for name in deployment.running)
            raise TimeoutError(f"{what} did not happen in time:\n{logs}")
        deployment.check("superlink")
        time.sleep(0.2)


def start_nodes(deployment: Deployment) -> dict[str, int]:
    with ThreadPoolExecutor(2) as pool:
        nodes = dict(zip(ROLES, pool.map(deployment.register, ROLES), strict=True))
    for place, (name, role) in enumerate(ROLES.items()):
        deployment.start_supernode(name, {"partition-id": place, "role": role})
    return nodes


def start_rogues(deployment: Deployment) -> None:
    config = {"partition-id": 0, "role": "honest"}
    node_key(deployment.keys, "stranger")
    deployment.start_supernode("stranger", config)
    deployment.start_supernode("plain", config, "--insecure", "--max-retries", "2")


def fetched(deployment: Deployment) -> int:
    """Messages that every SuperNode has which always answers."""
    prompt = [name for name in ROLES if name not in (*AWAY, "crashing")]
    return min(deployment.log(name).count("Received successfully") for name in prompt)


def online(deployment: Deployment) -> dict[int, str]:
    listed = json.loads(
        deployment.flwr("supernode", "list", "deployment", "--format", "json")
    )
    return {int(node["node-id"]): node["status"] for node in listed["nodes"]}


def restart(deployment: Deployment, doomed: int, config: dict[str, Any]) -> None:
    """Kill the server in the middle of a round, and start it again without a SuperNode."""
    deployment.end("superlink", signal.SIGKILL)
    deployment.end("run")
    # Its ServerApp can outlive it for some seconds, and would still hold the folder.
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((Path(config["folder"]) / "lock.pid").read_text()), signal.SIGKILL)
    deployment.start_superlink()
    deployment.flwr("supernode", "unregister", str(doomed), "deployment")
    # SuperNodes try again after up to 20 seconds, so the last round may need patience.
    last = {**config, "clients": len(ROLES) - 1, "patience": 60.0 * SLOWNESS}
    deployment.start_run(HERE / "app", last)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    began = time.monotonic()
    end = began + BUDGET
    deployment = Deployment(tmp_path_factory.mktemp("deployment"))
    results = deployment.folder / "results"
    config = {"rounds": ROUNDS, "clients": len(ROLES), "folder": str(results), "late": LATE}

    def finished() -> int:
        return len(read_lines(results / "rounds.jsonl"))

    try:
        deployment.start_superlink()
        nodes = start_nodes(deployment)
        start_rogues(deployment)
        deployment.start_run(HERE / "app", {**config, "patience": 30.0 * SLOWNESS})
        wait("round 1", lambda: finished() >= 1, deployment, end)
        time.sleep(3)
        deployment.end("doomed", signal.SIGKILL)
        wait("round 2", lambda: finished() >= HANGING_ROUND, deployment, end)
        # Until no SuperNode is fetching a message of the next round, as far as there is
        # time for it: later, the round might end.
        with suppress(TimeoutError):
            soon = min(end, time.monotonic() + LATE)
            wait("round 3", lambda: fetched(deployment) >= ROUNDS, deployment, soon)
        killed_at = finished()
        restart(deployment, nodes["doomed"], config)
        wait("the end", lambda: (results / "result.json").exists(), deployment, end)
        seen = online(deployment)
        assert killed_at == HANGING_ROUND
    finally:
        deployment.end_all()
    yield Outcome(
        folder=deployment.folder,
        results=results,
        nodes=nodes,
        rogues=set(seen) - set(nodes.values()),
        groups=deployment.started,
        logs={name: deployment.log(name) for name in (*ROLES, *ROGUES, "superlink")},
        seconds=time.monotonic() - began,
    )
    shutil.rmtree(deployment.folder)


def test_it_takes_less_than_four_minutes(outcome: Outcome) -> None:
    assert outcome.seconds < 240 * SLOWNESS


def test_every_round_is_finished_once_although_the_server_was_killed(
    outcome: Outcome,
) -> None:
    rounds = [line["round"] for line in outcome.lines("rounds.jsonl")]
    assert rounds == list(range(ROUNDS))
    pairs = [(line["round"], line["client"]) for line in outcome.lines("verdicts.jsonl")]
    assert len(pairs) == len(set(pairs))


def test_hardly_any_reply_is_lost(outcome: Outcome) -> None:
    names, rounds = [name for name, _ in outcome.lost()], [i for _, i in outcome.lost()]
    ends = {name: outcome.logs[name][-3000:] for name in names}
    assert len(set(names)) == len(names), ends
    assert len(set(rounds)) == len(rounds), ends


@pytest.mark.parametrize("server_round", range(1, ROUNDS + 1))
def test_who_is_rejected_and_why(outcome: Outcome, server_round: int) -> None:
    verdicts = outcome.verdicts(server_round)
    lost = {name for name, index in outcome.lost() if index == server_round}
    expected = {
        "malicious-0": "outside the majority group",
        "malicious-1": "outside the majority group",
        "lying": "'num-examples' is 1e+12",
        "crashing": FAILED,
    }
    if server_round == HANGING_ROUND:
        expected["slow"] = SILENT
        # A SuperNode that misses its killed client for a minute or so answers for it.
        killed = (SILENT, f"{FAILED}ClientApp stopped responding")
        assert verdicts["crashing"]["reason"].startswith(killed)
        del expected["crashing"]
    for name in set(expected) - lost:
        assert verdicts[name]["reason"].startswith(expected[name])
    if server_round >= HANGING_ROUND and "doomed" in verdicts:
        assert verdicts["doomed"]["reason"].startswith((SILENT, FAILED))
    accepted = {name for name, verdict in verdicts.items() if verdict["accepted"]}
    assert accepted <= HONEST
    assert len(accepted) >= 4 - len(lost & HONEST)


def test_the_model_learns_and_the_backdoor_does_not_get_in(outcome: Outcome) -> None:
    for line in outcome.lines("rounds.jsonl"):
        assert line["held"] is None
        assert line["ma"] > 0.85
        assert line["asr"]["whole"] < 0.03
    model = outcome.model
    assert training.measured(model)["accuracy"] == outcome.lines("rounds.jsonl")[-1]["ma"]


def test_without_a_defense_the_same_clients_get_their_backdoor_in(outcome: Outcome) -> None:
    undefended = undisturbed(outcome.nodes, AWAY, defense=Mean())
    assert training.measured(undefended)["asr whole"] > 0.3


def test_the_interrupted_run_is_an_undisturbed_one_bit_for_bit(outcome: Outcome) -> None:
    expected = undisturbed(outcome.nodes, outcome.unheard(), defense=Fedward())
    for name, values in outcome.model.items():
        np.testing.assert_array_equal(values, expected[name])


def undisturbed(
    nodes: dict[str, int], away: Mapping[str, Collection[int]], defense: Defense
) -> dict[str, Any]:
    """The same clients under the same ids, in one process that nobody kills."""

    def client(place: int, name: str, role: str) -> Callable[[Message], list[Message]]:
        def answer(message: Message) -> list[Message]:
            if role == "crashing":
                return [failed(message)]
            if round_of(message) in away.get(name, ()):
                return []
            local = training.trained(sent(message), place, role == "malicious")
            samples = 10**12 if role == "lying" else 1000
            return [reply(message, local, {"num-examples": samples})]

        return answer

    clients = {
        nodes[name]: client(place, name, role)
        for place, (name, role) in enumerate(ROLES.items())
    }
    strategy = Defended(FedAvg(fraction_evaluate=0.0), defense=defense)
    result = strategy.start(Nodes(clients), record(training.untrained()), ROUNDS)
    return arrays_of(result.arrays)


def test_nobody_without_a_registered_key_or_without_tls_gets_in(outcome: Outcome) -> None:
    assert outcome.rogues == set()
    judged = {line["client"] for line in outcome.lines("verdicts.jsonl")}
    assert judged <= set(outcome.nodes.values())
    for rogue in ROGUES:
        assert "Failed to initialize the connection" in outcome.logs[rogue]


def test_everything_that_was_started_has_ended(outcome: Outcome) -> None:
    deadline = time.monotonic() + 30
    while running(outcome.groups) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(outcome.groups)


def running(groups: list[int]) -> list[str]:
    """Processes of these groups; those that only wait to be reaped have ended."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = status.read_text()
            state, _, group = text.rpartition(")")[2].split()[:3]
            if state != "Z" and int(group) in groups:
                found.append(text)
    return found
