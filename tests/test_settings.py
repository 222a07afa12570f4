from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from fedward.settings import STRICT, UnknownName, as_table, build, lookup


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Box:
    width: int = Field(default=3, ge=1)
    lid: bool = True


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Ball:
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Pile:
    first: Any = Ball()
    rest: tuple[Any, ...] = ()


KNOWN: dict[str, type[Any]] = {"box": Box, "ball": Ball, "pile": Pile}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("box", Box()),
        ({"name": "box"}, Box()),
        ({"name": "box", "width": 5, "lid": False}, Box(width=5, lid=False)),
        (Ball(radius=2), Ball(radius=2)),
        ({"name": "pile", "first": {"radius": 4.0}}, Pile(first=Ball(radius=4.0))),
        ({"name": "pile", "first": "box"}, Pile(first=Box())),
    ],
)
def test_build(table: Any, expected: Any) -> None:
    assert build("thing", table, KNOWN) == expected


def test_build_leaves_the_table_as_it_was() -> None:
    table = {"name": "box", "width": 5}
    build("thing", table, KNOWN)
    assert table == {"name": "box", "width": 5}


@given(st.integers(1, 9), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
def test_as_table_is_the_inverse_of_build(width: int, lid: bool, radius: float) -> None:
    box, ball = Box(width=width, lid=lid), Ball(radius=radius)
    for thing in (
        box,
        ball,
        Pile(first=box, rest=(ball, box)),
        Pile(rest=(Pile(first=ball),)),
    ):
        assert build("thing", as_table("thing", thing, KNOWN), KNOWN) == thing


def test_as_table_names_every_option() -> None:
    assert as_table("thing", Box(), KNOWN) == {"name": "box", "width": 3, "lid": True}


def test_tables_inside_tables_are_built() -> None:
    table = {
        "name": "pile",
        "first": {"name": "box"},
        "rest": [{"name": "ball"}, {"name": "box"}],
    }
    assert build("thing", table, KNOWN) == Pile(first=Box(), rest=(Ball(), Box()))
    with pytest.raises(UnknownName, match="unknown thing 'bal'"):
        build("thing", {"name": "pile", "first": {"name": "bal"}}, KNOWN)


def test_unknown_names_list_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        build("thing", "bal", KNOWN)
    assert str(caught.value) == (
        "unknown thing 'bal'. Did you mean 'ball'? Known: ball, box, pile."
    )
    with pytest.raises(UnknownName, match=r"^unknown thing 'zebra'\. Known: ball"):
        lookup("thing", "zebra", KNOWN)
    assert str(UnknownName("thing", "x", ())) == "unknown thing 'x'. Known: none."


def test_unknown_options_list_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match=r"option of thing 'box': 'widht'\. Did you mean 'width'"
    ):
        build("thing", {"name": "box", "widht": 5}, KNOWN)


def test_lookup_gives_the_entry() -> None:
    assert lookup("thing", "ball", KNOWN) is Ball


@pytest.mark.parametrize("table", [{"width": 2}, {"name": 3}, {}, 7, None])
def test_what_has_no_name_is_refused(table: Any) -> None:
    with pytest.raises(ValueError, match="thing needs a name"):
        build("thing", table, KNOWN)


@pytest.mark.parametrize(
    "options",
    [{"width": 0}, {"width": "wide"}, {"radius": float("nan")}, {"radius": float("inf")}],
)
def test_values_that_an_option_cannot_have_are_refused(options: dict[str, Any]) -> None:
    name = "box" if "width" in options else "ball"
    with pytest.raises(ValidationError, match=next(iter(options))):
        build("thing", {"name": name, **options}, KNOWN)


def test_strict_settings_refuse_unknown_names() -> None:
    with pytest.raises(ValidationError, match="colour"):
        Box(colour="red")  # type: ignore[call-arg]


def test_what_was_never_registered_has_no_table() -> None:
    with pytest.raises(UnknownName, match="unknown thing 'int'"):
        as_table("thing", 3, KNOWN)
