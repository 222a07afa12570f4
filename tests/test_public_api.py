"""What users may rely on: names, types, licence, and an import that stays light."""

import json
import re
import subprocess
import sys
from importlib.metadata import metadata
from importlib.resources import files
from types import ModuleType

import pytest

import fedward
from fedward.cli.listing import KINDS, everything

NAMES = {
    "DEFENSES",
    "Aggregation",
    "Defense",
    "FedAvg",
    "Fedward",
    "Layout",
    "Round",
    "UpdateBuffer",
    "Verdict",
    "aggregate",
}

HEAVY = ("flwr", "ray", "plotly", "jinja2", "typer", "sklearn", "pooch", "numba")


def loaded_after(statement: str) -> set[str]:
    """Top-level modules of a fresh interpreter that ran the statement."""
    script = f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_public_names_are_exactly_these() -> None:
    assert set(fedward.__all__) == NAMES
    assert set(dir(fedward)) >= NAMES
    loaded: dict[str, object] = {}
    exec("from fedward import *", loaded)
    assert set(loaded) - {"__builtins__"} == NAMES
    public = {
        name
        for name, value in vars(fedward).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public - {"TYPE_CHECKING", "import_module"} == NAMES
    with pytest.raises(AttributeError, match="no attribute 'aggregat'"):
        _ = fedward.aggregat  # type: ignore[attr-defined]


def test_every_public_name_is_documented() -> None:
    assert fedward.__doc__
    classes_and_functions = NAMES - {"DEFENSES"}
    assert all(getattr(fedward, name).__doc__ for name in classes_and_functions)


def test_importing_the_library_loads_no_deployment_drawing_or_download() -> None:
    loaded = loaded_after("from fedward import *")
    assert {"fedward", "torch"} <= loaded
    assert loaded.isdisjoint(HEAVY)


def test_importing_the_package_waits_for_nothing() -> None:
    assert "torch" not in loaded_after("import fedward")


def test_what_is_loaded_would_be_seen() -> None:
    assert "jinja2" in loaded_after("import fedward, jinja2")


def test_the_package_is_typed() -> None:
    assert (files("fedward") / "py.typed").is_file()
    assert "Typing :: Typed" in metadata("fedward").get_all("Classifier", [])


def test_the_licence_is_apache() -> None:
    about = metadata("fedward")
    assert about["License-Expression"] == "Apache-2.0"
    assert about.get_all("License-File") == ["LICENSE"]


def test_every_kind_is_listed() -> None:
    listed = everything()
    assert tuple(listed) == KINDS
    assert all(listed.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_a_title(kind: str) -> None:
    assert [e["name"] for e in everything()[kind] if not e["title"].strip()] == []


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_every_data_set_and_model_names_its_source(kind: str) -> None:
    """An address, or the module of ours that makes it."""
    unknown = [
        entry["name"]
        for entry in everything()[kind]
        if not re.search(r"https?://|\bfedward\.", entry["source"])
    ]
    assert unknown == []


@pytest.mark.parametrize("kind", ["attacks", "defenses"])
def test_every_method_cites_its_paper(kind: str) -> None:
    """With a year or an address, and so with more than an emphasised word."""
    uncited = [
        entry["name"]
        for entry in everything()[kind]
        if not re.search(r"\b20\d\d\b|https://", entry["source"])
    ]
    assert uncited == []
