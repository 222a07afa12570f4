import torch

from fedward.attacks.neurotoxin import Neurotoxin, heaviest
from fedward.seeds import stream
from tests.attacks.making import knowledge


def test_the_heaviest_coordinates_of_the_last_update_are_left_alone() -> None:
    previous = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    params = torch.tensor([1.1, -4.0, 1.0, 3.0, 1.2, 0.9])
    own = torch.arange(1.0, 13.0).view(2, 6)
    known = knowledge(params=params, previous=previous)
    sent = Neurotoxin(ratio=1 / 3).craft(own, known)
    assert sent.tolist() == [[1, 0, 3, 0, 5, 6], [7, 0, 9, 0, 11, 12]]
    assert own[0, 1] == 2


def test_nothing_is_known_in_the_first_round() -> None:
    own = torch.randn(2, 6, generator=stream(1))
    assert torch.equal(Neurotoxin(ratio=0.5).craft(own, knowledge()), own)


def test_a_model_that_did_not_move_says_nothing() -> None:
    own, held = torch.randn(2, 6, generator=stream(1)), torch.randn(6, generator=stream(2))
    known = knowledge(params=held, previous=held.clone())
    assert torch.equal(Neurotoxin(ratio=0.5).craft(own, known), own)


def test_heaviest_is_the_top_share_with_ties_to_the_first() -> None:
    update = torch.tensor([2.0, -3.0, 3.0, 3.0, 0.0])
    assert heaviest(update, 0.4).tolist() == [False, True, True, False, False]
    assert not heaviest(update, 0.0).any()
    noise = torch.randn(1000, generator=stream(2))
    mask = heaviest(noise, 0.05)
    assert int(mask.sum()) == 50
    assert noise[mask].abs().min() > noise[~mask].abs().max()
