"""Which strategies may be wrapped, and what is known of those that are."""

from typing import Any

import flwr.serverapp.strategy as flower
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from flwr.serverapp.strategy import FedAdam, FedAvg, Strategy

from fedward.flower import Defended
from fedward.flower.wrapped import (
    check,
    nested,
    remembered,
    restore_strategy,
    setting,
    strategy_arrays,
    title,
)
from tests.flower.grid import arrays_of
from tests.flower.releases import FedAvgM, released
from tests.flower.rounds import Around

UNFIT: dict[str, dict[str, Any]] = {
    "Bulyan": {"num_malicious_nodes": 1},
    "FedMedian": {},
    "FedTrimmedAvg": {},
    "FedXgbBagging": {},
    "FedXgbCyclic": {},
    "Krum": {"num_malicious_nodes": 1},
    "MultiKrum": {"num_malicious_nodes": 1, "num_nodes_to_select": 2},
    "QFedAvg": {"client_learning_rate": 0.1},
}
PRIVATE = [
    f"DifferentialPrivacy{side}Side{kind}Clipping"
    for side in ("Server", "Client")
    for kind in ("Fixed", "Adaptive")
]


def made(name: str) -> Strategy:
    """One of Flower's strategies, if this release has it."""
    maker = released(name)
    if name not in PRIVATE:
        return maker(**UNFIT[name])  # type: ignore[no-any-return]
    clipping = {"clipping_norm": 1.0} if "Fixed" in name else {}
    return maker(  # type: ignore[no-any-return]
        FedAvg(), noise_multiplier=0.1, num_sampled_clients=5, **clipping
    )


class TestUnfit:
    @pytest.mark.parametrize("name", [*UNFIT, *PRIVATE])
    def test_what_needs_single_replies_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"^{name} .*; wrap FedAvg or another"):
            Defended(made(name))

    def test_so_is_what_is_made_of_it(self) -> None:
        class Mine(type(made("QFedAvg"))):  # type: ignore[misc]
            pass

        with pytest.raises(ValueError, match="Mine weighs every reply by its own loss"):
            Defended(Mine(client_learning_rate=0.1))

    def test_and_what_holds_it(self) -> None:
        with pytest.raises(ValueError, match="FedMedian chooses among the replies itself"):
            Defended(Around(Around(made("FedMedian"))))

    def test_two_defenses_are_one_too_many(self) -> None:
        with pytest.raises(ValueError, match="Defended judges single replies itself"):
            Defended(Defended())

    @pytest.mark.parametrize(
        "name", ["FedAdagrad", "FedAdam", "FedAvg", "FedAvgM", "FedProx", "FedYogi"]
    )
    def test_the_others_are_not(self, name: str) -> None:
        options = {"proximal_mu": 0.1} if name == "FedProx" else {}
        check(Around(released(name)(**options)))

    def test_every_strategy_of_this_release_has_been_thought_of(self) -> None:
        fit = {"FedAdagrad", "FedAdam", "FedAvg", "FedAvgM", "FedProx", "FedYogi"}
        others = {"Result", "Strategy"}
        assert set(flower.__all__) <= {*UNFIT, *PRIVATE, *fit, *others}


class TestNested:
    def test_those_inside_are_found_once(self) -> None:
        inner = FedAvgM()
        outer = Around(Around(inner))
        outer.again = outer
        assert list(nested(outer)) == ["", "strategy.", "strategy.strategy."]
        assert nested(outer)["strategy.strategy."] is inner
        assert title(outer) == "Around(Around, FedAvgM)"
        assert title(inner) == "FedAvgM"

    def test_settings_are_those_of_the_outermost_that_has_them(self) -> None:
        inner = released("FedProx")(proximal_mu=0.1, weighted_by_key="beds")
        assert setting(Around(inner), "weighted_by_key", "samples") == "beds"
        assert setting(Around(inner), "unheard_of", "samples") == "samples"

    def test_the_key_of_sample_counts_is_the_inner_ones(self) -> None:
        assert Defended(Around(FedAvg(weighted_by_key="beds")))._weight_key == "beds"


class TestArrays:
    def test_are_found_and_put_back(self) -> None:
        momentum = FedAvgM(server_momentum=0.9)
        assert strategy_arrays(momentum) == {}
        momentum.momentum_vector = [np.ones(2)]
        momentum.current_arrays = ArrayRecord({"w": Array(np.ones(2))})
        held = strategy_arrays(momentum)
        assert set(held) == {"momentum_vector", "current_arrays"}
        other = FedAvgM(server_momentum=0.5)
        restore_strategy(other, held)
        assert other.momentum_vector is not None
        assert other.server_momentum == 0.5

    def test_those_inside_another_strategy_too(self) -> None:
        momentum = FedAvgM(server_momentum=0.9)
        momentum.momentum_vector = [np.ones(2)]
        held = strategy_arrays(Around(momentum))
        assert set(held) == {"strategy.momentum_vector"}
        other = FedAvgM(server_momentum=0.9)
        restore_strategy(Around(other), held)
        assert other.momentum_vector is not None


class TestRemembered:
    def test_everything_is_as_it_was(self) -> None:
        adam, record = FedAdam(), ArrayRecord({"w": Array(np.ones(2))})
        outer = Around(adam)
        adam.m_t, adam.current_arrays, outer.seen = {"w": np.ones(2)}, None, [1]
        outer.model = record
        put_back = remembered(outer)
        adam.m_t["w"] += 1
        adam.current_arrays = {"w": np.ones(2)}
        vars(adam)["late"] = 1
        outer.seen.append(2)
        record["w"] = Array(np.zeros(2))
        put_back()
        assert adam.m_t["w"].tolist() == [1, 1]
        assert adam.current_arrays is None
        assert not hasattr(adam, "late")
        assert outer.seen == [1]
        assert outer.model is not None
        assert arrays_of(outer.model)["w"].tolist() == [1, 1]
        assert outer.strategy is adam

    def test_objects_are_put_back_and_not_copied(self) -> None:
        strategy = Around(FedAvg())
        strategy.seen = lock = object()
        put_back = remembered(strategy)
        strategy.seen = None
        put_back()
        assert strategy.seen is lock
