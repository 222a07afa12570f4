import torch

from fedward.attacks.dba import DBA
from fedward.attacks.replacement import ModelReplacement
from fedward.seeds import stream
from tests.attacks.making import knowledge


def test_one_attacker_among_idle_clients_replaces_the_model() -> None:
    own = torch.randn(1, 6, generator=stream(1))
    sent = ModelReplacement().craft(own, knowledge(attackers=1, clients=10))
    mean = torch.cat([sent, torch.zeros(9, 6)]).mean(0)
    torch.testing.assert_close(mean, own[0])


def test_the_mean_is_the_attackers_mean_plus_a_tenth_of_the_others_sum() -> None:
    own, others = torch.randn(10, 6, generator=stream(2)).tensor_split([4])
    sent = ModelReplacement().craft(own, knowledge(attackers=4, clients=10))
    mean = torch.cat([sent, others]).mean(0)
    torch.testing.assert_close(mean, own.mean(0) + others.sum(0) / 10)


def test_a_given_factor_multiplies_that_of_the_base() -> None:
    own = torch.randn(2, 6, generator=stream(3))
    attack = ModelReplacement(base=DBA(scale=2), factor=3)
    torch.testing.assert_close(attack.craft(own, knowledge()), own * 6)
