from typing import Any

import pytest
import torch

from fedward.attacks.dba import DBA, Centralised, DBASingleShot
from fedward.engine.plan import LocalTraining
from fedward.seeds import stream
from tests.attacks.making import knowledge, place, plan

HONEST = LocalTraining()


def test_attackers_train_by_their_own_numbers_and_keep_the_rest() -> None:
    honest = LocalTraining(epochs=1, lr=0.01, momentum=0.8, weight_decay=0.1, batch_size=7)
    assert DBA().training(honest) == LocalTraining(
        epochs=6, lr=0.05, momentum=0.8, weight_decay=0.1, batch_size=7
    )
    fashion = DBA(epochs=5, milestones=(1, 4)).training(honest)
    assert (fashion.epochs, fashion.milestones, fashion.gamma) == (5, (1, 4), 0.1)


def test_every_batch_has_its_share_stamped_and_relabelled() -> None:
    where, attack = place(part=6), DBA(pdr=0.3125)
    honest = plan(where, attack.training(HONEST))
    poisoned = attack.poison(honest, where, stream(3))
    assert poisoned.sizes == (64, 64, 22) * 6
    counts = [int(run.sum()) for run in torch.split(poisoned.stamped, list(poisoned.sizes))]
    assert counts == [20, 20, 6] * 6
    assert (poisoned.labels[poisoned.stamped] == 2).all()
    clean = ~poisoned.stamped
    assert torch.equal(poisoned.labels[clean], honest.labels[clean])
    assert torch.equal(poisoned.indices, honest.indices)
    assert not honest.stamped.any()
    # Attacker 6 stamps part 6 % 4 = 2: the lower left bar.
    assert poisoned.trigger is not None
    assert poisoned.trigger.mask[0].nonzero().tolist() == [[3, c] for c in range(4)]


def test_the_draw_is_the_generators_alone() -> None:
    where = place()
    honest = plan(where, HONEST)
    same = [DBA().poison(honest, where, stream(3)).stamped for _ in range(2)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], DBA().poison(honest, where, stream(4)).stamped)


def test_four_attackers_stamp_the_whole_together_and_centralised_ones_alone() -> None:
    whole = Centralised().trigger(place()).mask
    parts = [DBA().trigger(place(part=k)).mask for k in range(4)]
    assert torch.equal(torch.stack(parts).any(0), whole)
    assert all(
        torch.equal(Centralised().trigger(place(part=k)).mask, whole) for k in range(4)
    )


def test_success_is_measured_on_the_other_classes_with_every_trigger() -> None:
    labels = torch.tensor([2, 0, 1, 2, 9])
    probes = DBA().probes(torch.zeros(5, 1, 28, 28, dtype=torch.uint8), labels)
    assert [probe.name for probe in probes] == ["whole", *(f"part {k}" for k in range(4))]
    for probe in probes:
        assert probe.indices.tolist() == [1, 2, 4]
        assert probe.targets.tolist() == [2, 2, 2]
    masks = [probe.trigger.mask for probe in probes if probe.trigger is not None]
    assert torch.equal(torch.stack(masks[1:]).any(0), masks[0])
    centralised = Centralised().probes(torch.zeros(5, 3, 32, 32, dtype=torch.uint8), labels)
    assert [probe.name for probe in centralised] == ["whole"]


def test_scale_multiplies_what_was_trained() -> None:
    own = torch.arange(12.0).view(2, 6)
    before = own.clone()
    assert torch.equal(DBA(scale=2.5).craft(own, knowledge()), own * 2.5)
    assert torch.equal(own, before)
    assert torch.equal(DBA().craft(own, knowledge()), own)


def test_single_shot_strikes_once_each_two_rounds_apart() -> None:
    attack = DBASingleShot()
    struck = {
        (part, t)
        for part in range(4)
        for t in range(20)
        if attack.strikes(place(part=part, attack_round=t))
    }
    # DBA on MNIST: rounds 12, 14, 16, 18 of an attack that begins in round 12.
    assert struck == {(0, 0), (1, 2), (2, 4), (3, 6)}
    assert attack.scale == 100


@pytest.mark.parametrize(
    "wrong", [{"pdr": 1.0}, {"pdr": -0.1}, {"epochs": 0}, {"lr": 0}, {"share": 0.3}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DBA(**wrong)
