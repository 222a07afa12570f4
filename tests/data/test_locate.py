from pathlib import Path

import pytest

from fedward.data import locate
from fedward.data.images import DataError
from fedward.data.locate import Wanted, cache, find, folders, lacking

WANTED = (Wanted("a.gz", "a", "0"), Wanted("b.tar.gz", "b-folder", "1"))


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "system")
    monkeypatch.delenv(locate.VARIABLE, raising=False)


def test_searches_the_given_folder_the_variable_the_cache_and_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(locate.VARIABLE, str(tmp_path / "variable"))
    (tmp_path / "given").mkdir()
    roots = [tmp_path / "given", tmp_path / "variable", cache(), tmp_path / "system"]
    expected = [folder for root in roots for folder in (root / "mnist", root)]
    assert list(folders("mnist", tmp_path / "given")) == expected
    assert list(folders("mnist", None)) == expected[2:]


@pytest.mark.parametrize("value", [None, ""])
def test_an_absent_or_empty_variable_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv(locate.VARIABLE, value)
    system = tmp_path / "system"
    assert folders("x", None) == (cache() / "x", cache(), system / "x", system)


def test_the_cache_is_the_user_s(tmp_path: Path) -> None:
    assert cache() == tmp_path / "cache" / "fedward"


@pytest.mark.parametrize("make", ["nothing", "file"])
def test_a_given_folder_needs_to_be_one(tmp_path: Path, make: str) -> None:
    path = tmp_path / "given"
    if make == "file":
        path.write_bytes(b"")
    with pytest.raises(DataError, match="given needs to exist, got no such folder"):
        folders("mnist", path)


@pytest.mark.parametrize("first", ["a", "a.gz"])
@pytest.mark.parametrize("second", ["b.tar.gz", "b-folder"])
def test_finds_files_packed_or_unpacked(tmp_path: Path, first: str, second: str) -> None:
    (tmp_path / first).write_bytes(b"")
    assert find(WANTED, tmp_path) is None
    (tmp_path / second).mkdir()
    assert find(WANTED, tmp_path) == (tmp_path / first, tmp_path / second)


def test_says_what_a_folder_lacks(tmp_path: Path) -> None:
    assert lacking(WANTED, tmp_path / "none") == "no such folder"
    assert lacking(WANTED, tmp_path) == "lacks a.gz, b.tar.gz"
    (tmp_path / "a").write_bytes(b"")
    assert lacking(WANTED, tmp_path) == "lacks b.tar.gz"
