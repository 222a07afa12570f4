import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedward.data.download import DownloadError, fetch
from fedward.data.locate import Wanted
from tests.data.server import Site, serving

CONTENT = bytes(range(256)) * 2000
OTHER = b"another file, whole"


def wanted(content: bytes = CONTENT, name: str = "some.gz") -> Wanted:
    return Wanted(name, name.removesuffix(".gz"), hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.files.clear()
    server.cut.clear()
    server.asked.clear()
    return server


@pytest.fixture
def dead() -> str:
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetches_whole_files_and_makes_the_folder(site: Site, tmp_path: Path) -> None:
    site.files |= {"a/some.gz": CONTENT, "a/other.gz": OTHER}
    folder = tmp_path / "new" / "cache"
    paths = fetch((wanted(), wanted(OTHER, "other.gz")), (site.address + "a/",), folder)
    assert paths == (folder / "some.gz", folder / "other.gz")
    assert [path.read_bytes() for path in paths] == [CONTENT, OTHER]
    assert names(folder) == ["other.gz", "some.gz"]


def test_shows_its_progress_on_stderr_only(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.files["some.gz"] = CONTENT
    fetch((wanted(),), (site.address,), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert "some.gz" in err
    assert "512.0/512.0 kB" in err


def test_does_not_fetch_what_is_there(site: Site, tmp_path: Path) -> None:
    site.files["some.gz"] = CONTENT
    for _ in range(2):
        fetch((wanted(),), (site.address,), tmp_path)
    assert site.asked == ["some.gz"]


def test_replaces_a_damaged_file_in_the_cache(site: Site, tmp_path: Path) -> None:
    site.files["some.gz"] = CONTENT
    (tmp_path / "some.gz").write_bytes(CONTENT[:100])
    (path,) = fetch((wanted(),), (site.address,), tmp_path)
    assert path.read_bytes() == CONTENT


def test_goes_on_to_the_next_mirror(site: Site, dead: str, tmp_path: Path) -> None:
    site.files |= {"cut/some.gz": CONTENT, "wrong/some.gz": OTHER, "good/some.gz": CONTENT}
    site.cut.add("cut/some.gz")
    here = site.address
    mirrors = (dead, here + "absent/", here + "cut/", here + "wrong/", here + "good/")
    (path,) = fetch((wanted(),), mirrors, tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.asked == [f"{part}/some.gz" for part in ("absent", "cut", "wrong", "good")]
    assert names(tmp_path) == ["some.gz"]


def test_leaves_nothing_half_written_and_tells_every_reason(
    site: Site, dead: str, tmp_path: Path
) -> None:
    site.files |= {"cut/some.gz": CONTENT, "wrong/some.gz": OTHER}
    site.cut.add("cut/some.gz")
    here = site.address
    mirrors = (dead, here + "absent/", here + "cut/", here + "wrong/")
    with pytest.raises(DownloadError) as caught:
        fetch((wanted(),), mirrors, tmp_path)
    first, *reasons = str(caught.value).splitlines()
    assert first == f"some.gz could not be downloaded into {tmp_path}:"
    assert [mirror in line for mirror, line in zip(mirrors, reasons, strict=True)] == [
        True
    ] * 4
    for reason, line in zip(
        ("refused", "404", "Incomplete", "SHA-256"), reasons, strict=True
    ):
        assert reason in line
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_a_reason(site: Site, tmp_path: Path) -> None:
    site.files["some.gz"] = CONTENT
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"could not be downloaded into .*file"):
        fetch((wanted(),), (site.address,), tmp_path / "file" / "below")
