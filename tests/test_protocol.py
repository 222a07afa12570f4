import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import jaxtyping
import pytest
import torch

from fedward.defenses import FedAvg
from fedward.layout import Layout
from fedward.protocol import Aggregation, Defense, Round, Signatures, Verdict, hold


def parts(**changed: Any) -> dict[str, Any]:
    whole = {
        "updates": torch.arange(12.0).view(3, 4),
        "weights": torch.ones(3),
        "params": torch.full((4,), 5.0),
        "layout": Layout(("weight", "bias"), ((1, 3), (1,))),
        "clients": torch.tensor([7, 3, 9]),
        "index": 2,
        "generator": torch.Generator(),
        "memory": {"seen": torch.tensor(4)},
    }
    return {**whole, **changed}


@pytest.fixture
def without_shape_checks() -> Iterator[None]:
    """What a user meets, for whom the annotations do nothing."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"updates": torch.zeros(4)}, r"two dimensions .* got shape \(4,\)"),
        ({"updates": torch.zeros(3, 2, 2)}, r"got shape \(3, 2, 2\)"),
        (
            {"updates": torch.zeros(3, 4, dtype=torch.int64)},
            "floating point, got torch.int64",
        ),
        ({"layout": Layout.flat(5)}, "4 columns, the layout 5, the global model 4"),
        ({"params": torch.zeros(6)}, "the layout 4, the global model 6"),
        (
            {"weights": torch.ones(2)},
            "3 updates need 3 weights and identities, got 2 and 3",
        ),
        ({"clients": torch.arange(4)}, "got 3 and 4"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Round(**parts(**changed))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_parts_that_fit(dtype: torch.dtype) -> None:
    round = Round(**parts(updates=torch.zeros(3, 4, dtype=dtype)))
    assert round.updates.dtype == dtype
    assert Round(**{k: v for k, v in parts().items() if k != "memory"}).memory == {}


def test_nobody_differentiates_through_a_round() -> None:
    plain = parts()
    assert Round(**plain).updates is plain["updates"]
    updates = plain["updates"].clone().requires_grad_()
    params = plain["params"].clone().requires_grad_()
    made = Round(**parts(updates=updates, params=params))
    assert not made.updates.requires_grad
    assert not made.params.requires_grad
    assert made.updates.data_ptr() == updates.data_ptr()


def test_rounds_and_decisions_are_frozen() -> None:
    verdict = Verdict(accepted=True, reason="used")
    aggregation = Aggregation(update=torch.zeros(4), verdicts=(verdict,))
    for thing, name in (
        (Round(**parts()), "index"),
        (verdict, "reason"),
        (aggregation, "held"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)


def test_accepted_is_read_from_the_verdicts() -> None:
    verdicts = tuple(Verdict(accepted=fate, reason="so") for fate in (True, False, True))
    accepted = Aggregation(update=torch.zeros(4), verdicts=verdicts).accepted
    assert accepted.dtype == torch.bool
    assert accepted.tolist() == [True, False, True]
    assert Aggregation(update=torch.zeros(4), verdicts=()).accepted.shape == (0,)


def test_a_held_round_moves_nothing_rejects_all_and_remembers() -> None:
    round = Round(**parts(params=torch.full((4,), math.pi, dtype=torch.float64)))
    held = hold(round, "too few clients")
    assert held.held == "too few clients"
    assert held.update.equal(torch.zeros(4, dtype=torch.float64))
    assert held.accepted.tolist() == [False] * 3
    assert {verdict.reason for verdict in held.verdicts} == {"too few clients"}
    assert held.memory is round.memory


def test_a_held_round_keeps_the_verdicts_it_is_given() -> None:
    verdicts = tuple(
        Verdict(accepted=False, reason=str(i), norm=float(i)) for i in range(3)
    )
    assert hold(Round(**parts()), "no group", verdicts).verdicts == verdicts


def test_a_defense_is_known_by_what_it_has() -> None:
    assert isinstance(FedAvg(), Defense)
    assert not isinstance(lambda round: round, Defense)


@pytest.mark.parametrize(
    ("rows", "layers", "packed"), [(2, 2, 16), (3, 1, 16), (3, 2, 8), (3, 2, 16)]
)
def test_signatures_must_have_the_shape_of_the_updates(
    rows: int, layers: int, packed: int
) -> None:
    """Three updates of two layers: a word of 8 bytes holds the bits of either."""
    made = Signatures(
        "dense",
        torch.ones(rows, dtype=torch.float64),
        torch.ones(rows, layers, dtype=torch.float64),
        torch.full((rows, layers), 4),
        torch.zeros(rows, packed, dtype=torch.uint8),
    )
    if (rows, layers, packed) == (3, 2, 16):
        assert Round(**parts(signatures=made)).signatures is made
        return
    with pytest.raises(
        ValueError, match=f"3 updates of 2 layers .* got {rows} of {layers}"
    ):
        Round(**parts(signatures=made))


def test_signatures_of_some_rows() -> None:
    numbers = torch.arange(3.0, dtype=torch.float64)
    made = Signatures(
        "ternary",
        numbers,
        numbers[:, None],
        numbers[:, None].long(),
        numbers[:, None].to(torch.uint8),
        numbers[:, None].to(torch.uint8) + 5,
    )
    some = made.of(torch.tensor([True, False, True]))
    assert len(some) == 2
    assert some.sparsity == "ternary"
    assert some.norms.tolist() == [0, 2]
    for part in (some.maxima, some.kept, some.negative):
        assert part.flatten().tolist() == [0, 2]
    assert some.present is not None
    assert some.present.flatten().tolist() == [5, 7]
