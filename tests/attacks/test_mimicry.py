import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from fedward.attacks.base import Attack
from fedward.attacks.mimicry import AmGradMimicry, disguised
from fedward.defenses import Fedward
from fedward.layout import Layout
from fedward.ops.amgrad import Sparsity, amgrad
from fedward.seeds import stream
from tests.attacks.making import knowledge, small_round

LAYOUT = Layout(("a", "b"), ((4,), (2,)))


def test_worked_case() -> None:
    clean = torch.tensor([[0.5, -1.0, 0.2, 0.0, 0.3, 0.1]])
    wanted = torch.tensor([[0.7, -3.0, -0.4, 2.0, 0.1, 0.2]])
    # Entry by entry: kept; down to the maximum, which is here; wrong sign; no sign to have;
    # the maximum of the second layer is restored; kept.
    sent = disguised(wanted, clean, LAYOUT)
    expected = torch.tensor([[0.7, -1.0, 2.0**-20, 0.0, 0.3, 0.2]])
    assert torch.equal(sent, expected)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["dense", "ternary"]))
def test_amgrad_sees_the_clean_update(seed: int, sparsity: Sparsity) -> None:
    wanted, clean = torch.randn(2, 5, 6, generator=stream(seed)) * 2
    clean[0, :4] = 0
    clean[1, 1] = 0
    clean[2, 5] = clean[2, 4] / 2
    sent = disguised(wanted, clean, LAYOUT, sparsity)
    for form in ("dense", sparsity):
        assert torch.equal(amgrad(sent, LAYOUT, form), amgrad(clean, LAYOUT, form))


def test_no_other_update_with_that_vector_is_nearer() -> None:
    wanted, clean = torch.randn(2, 1, 6, generator=stream(4))
    sent = disguised(wanted, clean, LAYOUT)
    best = (sent - wanted).norm()
    generator = stream(5)
    for _ in range(500):
        sizes = torch.rand(1, 6, generator=generator)
        other = disguised(sizes * clean.sign() * 3, clean, LAYOUT)
        assert (other - wanted).norm() >= best - 1e-5


def test_ternary_keeps_to_the_clean_side_of_half() -> None:
    clean = torch.tensor([[1.0, 0.6, 0.5, 0.1, 1.0, 0.2]])
    sent = disguised(torch.tensor([[1.0, 0.1, 0.9, 0.9, 1, 0]]), clean, LAYOUT, "ternary")
    assert 0.5 < sent[0, 1] < 0.5001
    assert sent[0, 2:4].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_strength_moves_from_clean_to_poisoned(strength: float) -> None:
    own, clean = torch.randn(2, 2, 6, generator=stream(6))
    known = knowledge(clean=clean, layout=LAYOUT)
    sent = AmGradMimicry(strength=strength, free=0.5).craft(own, known)
    wanted = clean + strength * (own - clean)
    torch.testing.assert_close(sent, disguised(wanted, clean, LAYOUT, free=0.5))


def test_free_entries_keep_their_sign_within_the_maximum() -> None:
    clean = torch.tensor([[0.5, -1.0, 0.2, 0.1, 0.3, 0.1]])
    wanted = torch.tensor([[0.4, 3.0, -0.4, -2.0, 0.3, 0.2]])
    # Two of four are furthest off: the maximum, which is held as it is, and the last one.
    sent = disguised(wanted, clean, LAYOUT, free=0.5)
    assert torch.equal(sent[0, :4], torch.tensor([0.4, -1.0, 2.0**-20, -1.0]))
    everything = disguised(wanted, clean, LAYOUT, free=1.0)
    assert torch.equal(everything[0, :4], torch.tensor([0.4, -1.0, -0.4, -1.0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_at_most_the_free_share_of_signs_differs_and_no_maximum(
    seed: int, free: float
) -> None:
    layout = Layout(("a", "b"), ((30,), (8,)))
    wanted, clean = torch.randn(2, 3, 38, generator=stream(seed)) * 2
    seen = amgrad(disguised(wanted, clean, layout, free=free), layout)
    honest = amgrad(clean, layout)
    for columns, size in zip(layout.slices, layout.sizes, strict=True):
        differing = (seen[:, columns] != honest[:, columns]).sum(dim=1)
        assert (differing <= free * size + 1e-6).all()
    torch.testing.assert_close(seen.abs(), honest.abs(), rtol=0, atol=0)


def test_fedward_takes_the_attackers_for_their_honest_selves() -> None:
    layout = Layout(("a", "b"), ((300,), (50,)))
    honest = torch.randn(350, generator=stream(7)) + torch.randn(
        10, 350, generator=stream(8)
    )
    poisoned = honest[:4] + 3 * torch.randn(350, generator=stream(9))
    known = knowledge(attackers=4, clean=honest[:4], layout=layout, params=torch.zeros(350))
    sent = AmGradMimicry(base=Attack(), strength=1, free=0).craft(poisoned, known)

    def accepted(rows: Tensor) -> list[bool]:
        updates = torch.cat([rows, honest[4:]])
        verdicts = Fedward()(small_round(updates, layout)).verdicts
        return [verdict.accepted for verdict in verdicts]

    assert accepted(sent) == accepted(honest[:4])
    assert any(accepted(sent)[:4])
    assert not any(accepted(poisoned)[:4])
    # And some of the backdoor is left: the way to the poisoned update is shorter.
    assert (sent - poisoned).norm() < 0.8 * (honest[:4] - poisoned).norm()
