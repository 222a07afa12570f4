import torch
from hypothesis import given, settings, strategies as st

from fedward.attacks.dba import DBA
from fedward.attacks.norm_matching import NormMatching
from fedward.attacks.replacement import ModelReplacement
from fedward.seeds import stream
from tests.attacks.making import knowledge

CLEAN = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0.0, 3, 4, 0, 0, 0], [0.0, 0, 0, 0, 0, 2]])


def test_longer_updates_shrink_to_the_median_and_shorter_ones_stay() -> None:
    own = torch.tensor([[6.0, 8, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0], [0, 0, 2.0, 0, 0, 0]])
    sent = NormMatching().craft(own, knowledge(attackers=3, clean=CLEAN))
    torch.testing.assert_close(sent[0], torch.tensor([1.2, 1.6, 0, 0, 0, 0]))
    assert torch.equal(sent[1:], own[1:])


def test_the_quantile_chooses_the_estimate() -> None:
    own = 100 * torch.randn(3, 6, generator=stream(1))
    for quantile, norm in ((0.0, 1.0), (0.25, 1.5), (1.0, 5.0)):
        attack = NormMatching(quantile=quantile)
        sent = attack.craft(own, knowledge(attackers=3, clean=CLEAN))
        torch.testing.assert_close(sent.norm(dim=1), torch.full((3,), norm))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(1, 6))
def test_it_stays_in_the_ball_and_on_the_ray(seed: int, quantile: float, rows: int) -> None:
    own, clean = torch.randn(2, rows, 6, generator=stream(seed)) * 3
    attack = NormMatching(quantile=quantile, base=ModelReplacement(base=DBA(), factor=2))
    sent = attack.craft(own, knowledge(attackers=rows, clean=clean))
    bound = clean.double().norm(dim=1).quantile(quantile)
    assert (sent.double().norm(dim=1) <= bound * (1 + 1e-6)).all()
    torch.testing.assert_close(
        sent / sent.norm(dim=1, keepdim=True), own / own.norm(dim=1, keepdim=True)
    )
