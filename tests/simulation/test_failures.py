from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fedward.attacks import LittleIsEnough
from fedward.engine import Engine, Parallel, Reference
from fedward.engine.plan import LocalPlan
from fedward.engine.seam import ClientFailed
from fedward.protocol import Aggregation, Verdict
from fedward.report.runs import read_run
from fedward.simulation import received, rounds
from fedward.simulation.config import RunConfig
from fedward.simulation.failures import no_update, with_failures
from fedward.simulation.federation import Federation, federation, select
from fedward.simulation.metrics import summary
from fedward.simulation.records import RoundRecord, State, from_lines
from fedward.simulation.rounds import simulate
from fedward.simulation.runner import Start, Watch, folder_of, run
from tests.simulation.small import SMALL, record, spots

ENGINES = [Reference(), Parallel(workers=2)]
FRESH = Start()
SHORT = replace(SMALL, rounds=4)


@pytest.fixture
def sicken(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From a round on, these clients' second step asks for an image that is not there."""

    def among(*clients: int, since: int = 0) -> None:
        for name in ("honest_plan", "poisoned_plan"):
            make = getattr(received, name)

            def plan(
                fed: Federation,
                client: int,
                index: int,
                make: Callable[..., LocalPlan] = make,
            ) -> LocalPlan:
                made = make(fed, client, index)
                if client not in clients or index < since:
                    return made
                indices = made.indices.clone()
                indices[made.sizes[0]] = len(fed.labels)
                return replace(made, indices=indices)

            monkeypatch.setattr(received, name, plan)

    return among


def ran(config: RunConfig, engine: Engine) -> list[tuple[State, RoundRecord]]:
    return list(simulate(federation(config, spots(), engine, on_failure="drop")))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("config", "client"),
    [(SHORT, 5), (replace(SHORT, attack=LittleIsEnough()), 1)],
    ids=["honest", "attacker with an honest twin"],
)
def test_a_round_is_what_it_would_be_without_the_client_that_failed(
    sicken: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
    config: RunConfig,
    client: int,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            rounds, "select", lambda *args: [c for c in select(*args) if c != client]
        )
        without = ran(config, engine)
    sicken(client)
    steps = ran(config, engine)
    assert torch.equal(steps[-1][0].params, without[-1][0].params)
    missing = 0
    for (_, ours), (_, theirs) in zip(steps, without, strict=True):
        left = tuple(c for c in ours.clients if c.client != client)
        assert replace(ours, clients=left, seconds={}) == replace(theirs, seconds={})
        for failed in set(ours.clients) - set(left):
            missing += 1
            assert not failed.verdict.accepted
            assert failed.verdict.reason.startswith("failed: at step 1: index")
            assert failed.malicious is (client == 1 and ours.attacked)
    assert missing >= 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_stops_with_the_name_and_goes_on_when_mended(
    sicken: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine: Engine,
) -> None:
    whole = run(SHORT, spots(), engine, tmp_path / "whole")
    sicken(0, since=2)
    with pytest.raises(ClientFailed, match="client 0 failed at step 1: index"):
        run(SHORT, spots(), engine, tmp_path / "cut")
    monkeypatch.undo()
    assert len(folder_of(SHORT, tmp_path / "cut").records()) == 2
    resumed = run(SHORT, spots(), engine, tmp_path / "cut", Start(resume=True))
    assert resumed["params_sha256"] == whole["params_sha256"]
    assert resumed["metrics"] == whole["metrics"]


def test_a_dropping_run_resumes_to_the_same_bits_and_is_read_by_the_report(
    sicken: Callable[..., None], tmp_path: Path
) -> None:
    sicken(0, since=1)

    class PowerCut(Exception):
        pass

    def watch(record: RoundRecord) -> None:
        if record.round == 2:
            raise PowerCut

    def start(
        runs: Path, how: Start = FRESH, watch: Watch = lambda record: None
    ) -> dict[str, Any]:
        return run(SHORT, spots(), Reference(), runs, how, watch, on_failure="drop")

    whole = start(tmp_path / "whole")
    with pytest.raises(PowerCut):
        start(tmp_path / "cut", watch=watch)
    resumed = start(tmp_path / "cut", Start(resume=True))
    assert resumed["params_sha256"] == whole["params_sha256"]
    assert resumed["metrics"] == whole["metrics"]
    view = read_run(folder_of(SHORT, tmp_path / "cut").path)
    assert [r.clients for r in view.rounds] == [6, 5, 5, 5]
    assert [r.attackers for r in view.rounds] == [0, 0, 1, 1]
    assert [v.failed for v in view.verdicts if v.client == 0] == [False, True, True, True]


def test_a_round_in_which_everybody_failed_is_held(sicken: Callable[..., None]) -> None:
    sicken(*range(SHORT.clients), since=1)
    steps = ran(SHORT, Reference())
    assert steps[3][1].held == "Fedward needs at least 4 usable updates, got 0"
    assert torch.equal(steps[3][0].params, steps[0][0].params)
    assert len(steps[3][1].clients) == 6
    assert not steps[3][1].judged


def test_verdicts_stay_in_the_order_of_the_clients() -> None:
    decided = Aggregation(torch.zeros(1), (Verdict(True, "a"), Verdict(True, "b")))
    failure = ClientFailed(7, 3, ValueError("first line\nsecond"))
    verdicts = with_failures(decided, [2, 7, 9], {7: failure}).verdicts
    assert [v.reason for v in verdicts] == ["a", "failed: at step 3: first line", "b"]
    assert [v.failed for v in verdicts] == [False, True, False]


def test_an_error_without_words_is_called_by_its_type() -> None:
    assert no_update(ClientFailed(1, 0, KeyError())).reason == "failed: at step 0: KeyError"
    long = no_update(ClientFailed(1, 0, ValueError("x" * 5000))).reason
    assert len(long) < 250


def test_who_failed_is_neither_admitted_nor_rejected_by_the_defence() -> None:
    """AER 1 of 1 and BRR 1 of 2: without the attacker and the honest client that failed."""
    made = record(0, [True, True, False, False, False], [True, False, True, False, False])
    failed = Verdict(accepted=False, reason="failed: at step 0: nothing")
    sick = tuple(
        replace(c, verdict=failed) if c.client in (1, 4) else c for c in made.clients
    )
    made = replace(made, clients=sick)
    attackers = replace(SMALL.attackers, start=0)
    figures = summary(replace(SMALL, attackers=attackers), [made], [0.0] * 5, True)
    assert (figures["aer"], figures["brr"], figures["brr_attacked"]) == (1.0, 0.5, 0.5)
    line = made.to_line()
    counts = [line[n] for n in ("clients", "attackers", "admitted_attackers")]
    assert [*counts, line["rejected_benign"], made.rejected] == [3, 1, 1, 1, 1]
    assert from_lines(line, [c.to_line() for c in made.clients]) == made
