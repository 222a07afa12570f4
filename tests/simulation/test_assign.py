from typing import Any

import pytest

from fedward.simulation.assign import lay_over, nir_partition, parse_named, parse_value, put
from fedward.simulation.config import RunConfig
from fedward.simulation.presets import PRESETS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("kth", "kth"),
        ("[1,2]", [1, 2]),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse_value(text) == value


def test_names_with_options() -> None:
    assert parse_named("fedward") == {"name": "fedward"}
    assert parse_named("fedward:eps=kth:clip=none") == {
        "name": "fedward", "eps": "kth", "clip": "none",
    }  # fmt: skip
    with pytest.raises(ValueError, match="needs the form name:option=value, got 'kth'"):
        parse_named("fedward:kth")


def test_put_makes_tables_on_the_way() -> None:
    table: dict[str, Any] = {"defense": "fedward", "attackers": {"count": 4}}
    put(table, "defense.eps", "kth")
    put(table, "attackers.start", 2)
    assert table == {
        "defense": {"name": "fedward", "eps": "kth"},
        "attackers": {"count": 4, "start": 2},
    }
    with pytest.raises(ValueError, match="count is 4, which has no parts"):
        put(table, "attackers.count.x", 1)


def test_a_table_of_another_kind_replaces_the_first_whole() -> None:
    table = {"partition": {"name": "dirichlet", "alpha": 0.5}, "rounds": 3}
    lay_over(table, {"partition": {"name": "iid"}, "rounds": 4})
    assert table == {"partition": {"name": "iid"}, "rounds": 4}
    lay_over(table, {"partition": {"name": "dirichlet", "alpha": 0.1}})
    lay_over(table, {"partition": {"alpha": 0.2}})
    assert table["partition"] == {"name": "dirichlet", "alpha": 0.2}


def test_nir_is_the_concentration_in_percent() -> None:
    assert nir_partition("iid", RunConfig()) == {"name": "iid"}
    assert nir_partition("25", PRESETS["paper-mnist"].config) == {
        "name": "dirichlet-authors",
        "alpha": 0.25,
    }
    assert nir_partition("50", PRESETS["demo"].config)["name"] == "dirichlet"
    for wrong in ("0", "-5", "half"):
        with pytest.raises(ValueError, match=f"percentage above 0, got '{wrong}'"):
            nir_partition(wrong, RunConfig())
