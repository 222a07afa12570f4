import torch

from fedward.attacks.dba import DBA
from fedward.attacks.norm_matching import NormMatching
from fedward.attacks.train_and_scale import TrainAndScale
from fedward.seeds import stream
from tests.attacks.making import knowledge


def test_updates_get_the_given_norm_whether_shorter_or_longer() -> None:
    own = torch.tensor([[3.0, 4, 0, 0, 0, 0], [0.0, 0, 0.1, 0, 0, 0]])
    sent = TrainAndScale(bound=2.5).craft(own, knowledge())
    torch.testing.assert_close(
        sent, torch.tensor([[1.5, 2, 0, 0, 0, 0], [0.0, 0, 2.5, 0, 0, 0]])
    )
    # gamma = S / ||X - G|| does not depend on what the base multiplied by.
    again = TrainAndScale(bound=2.5, base=DBA(scale=7)).craft(own, knowledge())
    torch.testing.assert_close(again, sent)


def test_without_a_bound_it_is_the_longest_clean_update() -> None:
    clean = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0.0, 3, 4, 0, 0, 0]])
    own = torch.randn(2, 6, generator=stream(1))
    sent = TrainAndScale().craft(own, knowledge(clean=clean))
    torch.testing.assert_close(sent.norm(dim=1), torch.full((2,), 5.0))
    assert TrainAndScale().needs_clean
    assert not TrainAndScale(bound=1).needs_clean
    assert TrainAndScale(bound=1, base=NormMatching()).needs_clean
