from dataclasses import replace
from functools import cache

import pytest
import torch

from fedward.data.images import Dataset, Images
from fedward.engine import ENGINES
from fedward.simulation.config import RunConfig
from fedward.simulation.federation import federation
from fedward.simulation.records import RoundRecord, State
from fedward.simulation.rounds import simulate
from tests.simulation.small import SMALL, spots

TEN = replace(SMALL, rounds=10, training=replace(SMALL.training, batch_size=8))


def few(images: Images, count: int) -> Images:
    return Images(images.pixels[:count], images.labels[:count])


@cache
def run(config: RunConfig, engine: str) -> list[tuple[State, RoundRecord]]:
    data: Dataset = replace(
        spots(), train=few(spots().train, 120), test=few(spots().test, 60)
    )
    return list(simulate(federation(config, data, ENGINES[engine]())))


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "reference"])
def test_ten_rounds_have_the_verdicts_of_the_reference(engine: str) -> None:
    """Rounding grows from round to round; what is decided does not change."""
    expected, found = run(TEN, "reference"), run(TEN, engine)
    assert len(found) == len(expected) == 10
    for (state, record), (truth, reference) in zip(found, expected, strict=True):
        assert record.held == reference.held
        verdicts = [(c.client, c.verdict.accepted) for c in record.clients]
        assert verdicts == [(c.client, c.verdict.accepted) for c in reference.clients]
        # In round 0 the engines' own difference; then every round multiplies what there is.
        bound = 1e-5 if record.round == 0 else 1e-3
        assert (state.params - truth.params).norm() <= bound * truth.params.norm()
    refused = sum(not c.verdict.accepted for _, r in expected for c in r.clients)
    assert 0 < refused < 60
    assert not torch.allclose(found[-1][0].params, expected[0][0].params, rtol=0.01)
