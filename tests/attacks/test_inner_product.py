import pytest
import torch

from fedward.attacks.inner_product import InnerProduct
from fedward.seeds import stream
from tests.attacks.making import knowledge


@pytest.mark.parametrize(("epsilon", "share"), [(3.0, -0.6), (1.5, 0.0), (0.1, 0.56)])
def test_the_mean_becomes_its_share_of_the_formula(epsilon: float, share: float) -> None:
    honest = torch.randn(1, 6, generator=stream(1)).expand(6, 6)
    attack = InnerProduct(epsilon=epsilon)
    sent = attack.craft(torch.zeros(4, 6), knowledge(attackers=4, clean=honest[:4]))
    mean = torch.cat([sent, honest]).mean(0)
    torch.testing.assert_close(mean, share * honest[0])


def test_rows_are_equal_but_not_the_same_memory() -> None:
    clean = torch.randn(2, 6, generator=stream(2))
    sent = InnerProduct(epsilon=1).craft(torch.zeros(2, 6), knowledge(clean=clean))
    torch.testing.assert_close(sent, -clean.mean(0).expand(2, 6))
    sent[0] = 9
    assert (sent[1] != 9).all()
