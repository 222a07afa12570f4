from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fedward.attacks import DBA, DBASingleShot, Knowledge, ModelReplacement
from fedward.defenses import FedAvg, Fedward, FoolsGold
from fedward.engine.network import Network
from fedward.engine.plan import LocalPlan
from fedward.engine.seam import Trained
from fedward.protocol import Aggregation, Verdict
from fedward.simulation.config import Attackers, Measuring, RunConfig, clean_twin
from fedward.simulation.federation import select
from fedward.simulation.received import honest_plan
from fedward.simulation.records import RoundRecord, State
from fedward.simulation.rounds import simulate
from tests.simulation.small import SMALL, small_federation


def run(config: RunConfig, state: State | None = None) -> list[tuple[State, RoundRecord]]:
    return list(simulate(small_federation(config), state))


def final(steps: list[tuple[State, RoundRecord]]) -> Tensor:
    return steps[-1][0].params


def untimed(steps: list[tuple[State, RoundRecord]]) -> list[RoundRecord]:
    return [replace(record, seconds={}) for _, record in steps]


def test_six_rounds_are_three_and_three_bit_for_bit() -> None:
    whole = run(SMALL)
    rest = run(SMALL, whole[2][0])
    assert torch.equal(final(rest), final(whole))
    assert untimed(rest) == untimed(whole)[3:]


def test_memory_of_a_defense_is_carried() -> None:
    config = replace(SMALL, defense=FoolsGold())
    whole = run(config)
    rest = run(config, whole[3][0])
    assert whole[3][0].memory
    assert torch.equal(final(rest), final(whole))


def test_seeds_differ_and_repeat() -> None:
    assert torch.equal(final(run(SMALL)), final(run(SMALL)))
    assert not torch.equal(final(run(SMALL)), final(run(replace(SMALL, seed=1))))


def test_before_the_attack_everything_equals_the_clean_twin() -> None:
    attacked, clean = run(SMALL), run(clean_twin(SMALL))
    assert torch.equal(attacked[1][0].params, clean[1][0].params)
    assert not torch.equal(attacked[2][0].params, clean[2][0].params)
    assert not any(record.attacked for _, record in clean)
    assert all(record.asr for _, record in clean)


def test_defenses_see_the_same_clients_and_data() -> None:
    one, other = run(SMALL), run(replace(SMALL, defense=FedAvg()))
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert [c.client for c in a.clients] == [c.client for c in b.clients]
    assert torch.equal(one[1][0].params, other[1][0].params)


def test_the_mean_is_added_and_counted() -> None:
    """FedAvg by hand: the global model moves by the mean of what the engine returns."""
    fed = small_federation(replace(SMALL, defense=FedAvg(), attack=None))
    caught: list[Tensor] = []

    def engine(
        model: Network, params: Tensor, pixels: Tensor, plans: Sequence[LocalPlan]
    ) -> Trained:
        trained = fed.engine(model, params, pixels, plans)
        caught.append(trained.rows)
        return trained

    steps = list(simulate(replace(fed, engine=engine)))
    before = steps[0][0].params
    torch.testing.assert_close(steps[1][0].params, before + caught[1].mean(dim=0))
    assert steps[1][0].previous is before


def test_records_say_who_attacked_and_when_it_was_defended() -> None:
    records = [record for _, record in run(SMALL)]
    assert [r.attacked for r in records] == [False, False, True, True, True, True]
    assert [r.defended for r in records] == [False, False, True, True, True, True]
    assert all(r.attackers == 2 and len(r.clients) == 6 for r in records[2:])
    assert [c.client for c in records[3].clients if c.malicious] == [0, 1]
    assert [len(r.asr) for r in records] == [1, 1, 5, 1, 1, 5]


def test_measuring_every_other_round_and_the_last() -> None:
    config = replace(SMALL, rounds=5, measuring=Measuring(every=2, parts_every=10))
    records = [record for _, record in run(config)]
    assert [r.ma is not None for r in records] == [False, True, False, True, True]
    assert [len(r.asr) for r in records] == [0, 1, 0, 1, 5]


def test_fixed_attackers_are_always_selected_and_the_rest_is_drawn() -> None:
    config = RunConfig()
    rounds = [select(config, index) for index in range(300)]
    assert all(clients[:4] == [0, 1, 2, 3] for clients in rounds)
    assert all(len(set(clients)) == 10 for clients in rounds)
    drawn = torch.tensor([client for clients in rounds for client in clients[4:]])
    counts = drawn.bincount(minlength=100)[4:].double()
    # 1,800 draws over 96 clients: 18.75 each, standard deviation about 4.2.
    assert counts.min() > 18.75 - 5 * 4.2
    assert counts.max() < 18.75 + 5 * 4.2


def test_sampled_attackers_come_as_chance_has_it() -> None:
    config = RunConfig(attackers=Attackers(count=20, choice="sampled"))
    bad = [sum(c < 20 for c in select(config, i)) for i in range(500)]
    # Hypergeometric: mean 10 * 20 / 100 = 2, standard deviation of the mean about 0.054.
    assert sum(bad) / len(bad) == pytest.approx(2.0, abs=0.27)
    assert min(bad) == 0


def test_single_shot_attackers_strike_once() -> None:
    config = replace(SMALL, attack=DBASingleShot(epochs=1, milestones=(), scale=2.0))
    records = [record for _, record in run(config)]
    assert [r.attackers for r in records] == [0, 0, 1, 0, 1, 0]


def test_crafting_changes_the_attackers_rows_only() -> None:
    """Replacement multiplies what the attackers send; the honest send the same."""
    plain = replace(SMALL, rounds=3, defense=FedAvg(), attack=DBA(epochs=1))
    scaled = replace(plain, attack=ModelReplacement(base=DBA(epochs=1)))
    one, other = run(plain)[2][1], run(scaled)[2][1]
    for a, b in zip(one.clients, other.clients, strict=True):
        ratio = (b.verdict.norm or 0) / (a.verdict.norm or 1)
        assert ratio == pytest.approx(6 / 2 if a.malicious else 1.0, rel=1e-5)


def told(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> list[Knowledge]:
    """What the attackers of a run were told, round after round."""
    heard: list[Knowledge] = []

    def craft(self: DBA, own: Tensor, knowledge: Knowledge) -> Tensor:
        heard.append(knowledge)
        return own

    monkeypatch.setattr(DBA, "craft", craft)
    monkeypatch.setattr(DBA, "needs_clean", True)
    run(config)
    return heard


def test_attackers_know_what_the_server_knows_and_their_own_honest_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(SMALL, attack=DBA(epochs=1), defense=FoolsGold())
    steps, fed = run(config), small_federation(config)
    heard = told(config, monkeypatch)
    start, count = config.attackers.start, config.attackers.count
    assert len(heard) == config.rounds - start
    for index, known in enumerate(heard, start):
        before, earlier = steps[index - 1][0], steps[index - 2][0]
        assert torch.equal(known.params, before.params)
        assert known.previous is not None
        assert torch.equal(known.previous, earlier.params)
        assert known.memory.keys() == before.memory.keys()
        for name, held in before.memory.items():
            assert torch.equal(known.memory[name], held)
        assert (known.defense, known.layout) == (config.defense, fed.layout)
        assert (known.index, known.clients) == (index, config.clients_per_round)
        assert known.identities.tolist() == [*range(count)]
        plans = [honest_plan(fed, client, index) for client in range(count)]
        twins = fed.engine(fed.model, before.params, fed.data.train.pixels, plans)
        assert known.clean is not None
        assert torch.equal(known.clean, twins.rows)
    assert heard[1].memory
    assert len({known.generator.initial_seed() for known in heard}) == len(heard)


def test_attackers_know_when_the_server_does_not_defend_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = SMALL.attackers.start
    config = replace(
        SMALL, attack=DBA(epochs=1), defense=FoolsGold(), defend_from=start + 1
    )
    heard = told(config, monkeypatch)
    assert [known.defense for known in heard[:2]] == [FedAvg(), FoolsGold()]


def test_a_held_round_keeps_the_model() -> None:
    config = replace(
        SMALL, clients_per_round=3, attackers=Attackers(count=1, start=2), defense=Fedward()
    )
    steps = run(config)
    assert steps[2][1].held == "Fedward needs at least 4 usable updates, got 3"
    assert torch.equal(steps[2][0].params, steps[1][0].params)


def test_model_and_data_must_fit() -> None:
    with pytest.raises(ValueError, match="cifarnet"):
        small_federation(replace(SMALL, model="cifarnet"))


def test_a_target_must_be_a_class() -> None:
    with pytest.raises(ValueError, match=r"10 classes.*target 12"):
        small_federation(replace(SMALL, attack=DBA(target=12)))


def test_what_a_defense_returns_has_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def returning(update: Tensor, verdicts: int) -> Callable[..., Aggregation]:
        told = (Verdict(accepted=True, reason="used"),) * verdicts
        return lambda self, round: Aggregation(update, told)

    config = replace(SMALL, rounds=1, attack=None, defense=FedAvg())
    count, params = config.clients_per_round, small_federation(config).layout.params
    for update, verdicts, message in (
        (torch.zeros(params).double(), count, "FedAvg needs to return an update of shape"),
        (torch.zeros(1), count, r"got \(1,\) and torch.float32"),
        (torch.zeros(params), count - 1, f"{count} verdicts, got {count - 1}"),
    ):
        monkeypatch.setattr(FedAvg, "__call__", returning(update, verdicts))
        with pytest.raises(ValueError, match=message):
            run(config)


def test_what_an_attack_crafts_has_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DBA, "craft", lambda self, own, knowledge: own[:1])
    with pytest.raises(ValueError, match=r"DBA needs to craft updates of shape \(2, "):
        run(replace(SMALL, attack=DBA(epochs=1)))
