from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier

import pytest
import torch
from torch import Tensor

from fedward.attacks import DBA, Adaptive, LabelFlip, ModelReplacement
from fedward.bench.warmups import copy, run_warmed, warmups
from fedward.data.partition import DirichletAuthors
from fedward.defenses import FedAvg, Fedward, Median
from fedward.engine import Reference
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan, LocalTraining
from fedward.engine.seam import ClientFailed, Trained
from fedward.simulation.config import Attackers, Measuring, RunConfig, clean_twin
from fedward.simulation.records import RoundRecord
from fedward.simulation.runner import Start, folder_of, run
from tests.bench.tiny import TINY, bits
from tests.simulation.small import spots

WHO = replace(TINY.attackers, start=3)


def keys(config: RunConfig, engine: str = "parallel") -> list[tuple[int, str]]:
    return [(warmup.until, warmup.key) for warmup in warmups(config, spots(), engine)]


@pytest.mark.parametrize(
    "same",
    [
        replace(TINY, defense=Median()),
        replace(TINY, attack=DBA(pdr=0.4, epochs=3, scale=4.0)),
        replace(TINY, attack=ModelReplacement(base=DBA(pdr=0.1))),
        replace(TINY, rounds=9),
        replace(TINY, attackers=Attackers(count=2, start=2, stop=3)),
        replace(TINY, attackers=Attackers(count=2, start=3), defend_from=2),
    ],
)
def test_what_does_not_matter_before_the_attack(same: RunConfig) -> None:
    assert keys(same) == keys(TINY)


@pytest.mark.parametrize(
    "other",
    [
        replace(TINY, seed=1),
        replace(TINY, model="mnistnet"),
        replace(TINY, partition=DirichletAuthors(alpha=0.5)),
        replace(TINY, clients=9),
        replace(TINY, clients_per_round=5),
        replace(TINY, training=LocalTraining(batch_size=64, lr=0.06)),
        replace(TINY, measuring=Measuring(parts_every=2)),
        replace(TINY, attackers=Attackers(count=3, start=2)),
        replace(TINY, attackers=Attackers(count=2, start=2, choice="sampled")),
        replace(TINY, attackers=WHO),
        replace(TINY, attack=DBA(target=3)),
        replace(TINY, attack=DBA(parts=2)),
        replace(TINY, attack=LabelFlip()),
        replace(TINY, attack=None),
    ],
)
def test_what_matters(other: RunConfig) -> None:
    assert not set(keys(other)) & set(keys(TINY))


def test_the_machine_matters() -> None:
    assert keys(TINY, "reference") != keys(TINY)
    one = keys(TINY)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert keys(TINY) != one
    finally:
        torch.set_num_threads(before)


def test_how_long_a_warmup_is() -> None:
    assert [until for until, _ in keys(TINY)] == [2]
    assert [until for until, _ in keys(replace(TINY, defend_from=1))] == [1]
    assert keys(replace(TINY, defend_from=0)) == []
    assert [until for until, _ in keys(clean_twin(TINY))] == [5, 2]
    assert keys(clean_twin(TINY))[1] == keys(TINY)[0]
    always = replace(clean_twin(TINY), defend_from=0)
    assert [until for until, _ in keys(always)] == [5]


def test_of_a_clean_run_the_defense_and_the_length_matter_but_no_attackers_share() -> None:
    quiet = clean_twin(TINY)
    assert keys(clean_twin(replace(TINY, attack=DBA(pdr=0.4)))) == keys(quiet)
    for other in (
        replace(quiet, defense=Fedward()),
        replace(quiet, rounds=6),
        replace(quiet, defend_from=1),
        clean_twin(replace(TINY, attack=DBA(target=3))),
    ):
        assert keys(other)[0] != keys(quiet)[0]


CASES = [
    replace(TINY, defense=FedAvg()),
    replace(TINY, defense=Fedward(), attack=DBA(pdr=0.45)),
    replace(TINY, attack=Adaptive(), defense=Median()),
    clean_twin(TINY),
    clean_twin(replace(TINY, attack=DBA(pdr=0.45))),
]


@dataclass
class Counting:
    """The reference, how many rounds it has trained, and whether its first client fails."""

    rounds: int = 0
    fails: bool = False

    def __call__(
        self, model: Network, params: Tensor, pixels: Tensor, plans: Sequence[LocalPlan]
    ) -> Trained:
        self.rounds += 1
        trained = Reference()(model, params, pixels, plans)
        if self.fails:
            failure = ClientFailed(plans[0].client, 0, RuntimeError("out of memory"))
            return replace(trained, failures={0: failure})
        return trained


def trained(config: RunConfig, runs: Path, share: bool) -> int:
    """Run it; how many rounds were trained, not copied or read."""
    engine = Counting()
    if share:
        run_warmed(config, spots(), engine, runs)
    else:
        run(config, spots(), engine, runs, Start())
    return engine.rounds


def test_shared_and_not_are_equal_bit_for_bit(tmp_path: Path) -> None:
    """Records of the warm-up rounds too; only the times are those of who trained it."""
    counts = [trained(config, tmp_path / "shared", share=True) for config in CASES]
    for config in CASES:
        assert trained(config, tmp_path / "alone", share=False) == 5
        assert bits(config, tmp_path / "shared") == bits(config, tmp_path / "alone")
    assert counts == [5, 3, 3, 3, 0]


def test_of_runs_that_start_together_one_trains(tmp_path: Path) -> None:
    start = Barrier(3)

    def one(config: RunConfig) -> int:
        start.wait(timeout=60)
        return trained(config, tmp_path, share=True)

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(one, CASES[:3])) == [3, 3, 5]


class PowerCut(Exception):
    pass


def test_a_run_that_was_begun_is_left_as_it_is(tmp_path: Path) -> None:
    def cut(record: RoundRecord) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        run(TINY, spots(), Counting(), tmp_path, Start(), cut)
    trained(CASES[0], tmp_path, share=True)
    assert trained(TINY, tmp_path, share=True) == 4
    trained(TINY, tmp_path / "alone", share=False)
    assert bits(TINY, tmp_path) == bits(TINY, tmp_path / "alone")


def test_a_run_that_another_finished_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    run_warmed(replace(TINY, defense=Median()), spots(), Reference(), tmp_path)
    run(TINY, spots(), Reference(), tmp_path)
    before = bits(TINY, tmp_path)
    folder = replace(folder_of(TINY, tmp_path), engine="reference")
    (warmup,) = warmups(TINY, spots(), "reference")
    assert warmup.folder(tmp_path, "reference").checkpoint.exists()
    assert copy(TINY, folder, warmup)
    assert folder.finished() is not None
    assert bits(TINY, tmp_path) == before


def test_a_run_that_resumes_in_its_warmup_keeps_it(tmp_path: Path) -> None:
    def cut(record: RoundRecord) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        run(TINY, spots(), Counting(), tmp_path, Start(), cut)
    assert trained(TINY, tmp_path, share=True) == 4
    assert trained(CASES[0], tmp_path, share=True) == 3


def test_a_warmup_that_lacks_a_client_is_not_kept(tmp_path: Path) -> None:
    def cut(record: RoundRecord) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        run(TINY, spots(), Counting(fails=True), tmp_path, Start(), cut, on_failure="drop")
    assert trained(TINY, tmp_path, share=True) == 4
    assert trained(CASES[0], tmp_path, share=True) == 5


def test_a_damaged_warmup_is_trained_again(tmp_path: Path) -> None:
    trained(CASES[0], tmp_path, share=True)
    (kept,) = (tmp_path / ".warmups").glob("*/checkpoint.safetensors")
    kept.write_bytes(b"half a file")
    assert trained(CASES[1], tmp_path, share=True) == 5
    assert trained(CASES[2], tmp_path, share=True) == 3
