from collections import Counter

import pytest
import torch

from fedward.attacks.poisoning import others, pick, poisoned, share_of
from fedward.attacks.triggers import whole_trigger
from fedward.engine.plan import LocalPlan
from fedward.seeds import stream


@pytest.mark.parametrize(
    ("size", "share", "count"),
    [
        (64, 0.15625, 10),
        (64, 0.3125, 20),
        (64, 0.46875, 30),
        (22, 0.3125, 6),
        (100, 0.29, 29),
        (3, 0.3125, 0),
        (64, 0.0, 0),
    ],
)
def test_poisoned_images_of_a_batch(size: int, share: float, count: int) -> None:
    assert share_of(size, share) == count
    assert int(pick([size], share, stream(1)).sum()) == count


def test_picks_are_drawn_anew_in_every_batch_and_evenly() -> None:
    picks = pick([8] * 4000, 0.25, stream(5)).view(4000, 8)
    assert (picks.sum(1) == 2).all()
    kinds = Counter(tuple(row.nonzero().flatten().tolist()) for row in picks)
    # 28 pairs, 4000 / 28 = 143 expected of each; 5 sigma is 60.
    assert len(kinds) == 28
    assert max(abs(n - 4000 / 28) for n in kinds.values()) < 60


def test_nothing_is_picked_from_no_batches() -> None:
    assert pick([], 0.5, stream(1)).shape == (0,)


def test_poisoned_samples_are_stamped_or_mislabelled() -> None:
    plan = LocalPlan(
        client=0,
        indices=torch.tensor([3, 0, 1, 3]),
        labels=torch.tensor([7, 5, 2, 7]),
        stamped=torch.tensor([False, False, True, False]),
        sizes=(4,),
        lr=(0.1,),
        momentum=0.9,
        weight_decay=0.0,
        dropout_seed=0,
        trigger=whole_trigger((1, 28, 28)),
    )
    truth = torch.tensor([4, 2, 0, 7])
    assert poisoned(plan, truth).tolist() == [False, True, True, False]


def test_probed_are_the_images_of_other_classes() -> None:
    assert others(torch.tensor([2, 0, 1, 2, 9]), 2).tolist() == [1, 2, 4]
