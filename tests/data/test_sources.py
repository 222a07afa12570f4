import gzip
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fedward.data import locate
from fedward.data.idx import write_idx
from fedward.data.images import DataError
from fedward.data.locate import Wanted, cache
from fedward.data.sources import DATASETS, IDX_NAMES, load
from fedward.settings import UnknownName
from tests.data.places import SHARED, SYSTEM, full
from tests.data.server import Site, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any data set."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "system")
    monkeypatch.delenv(locate.VARIABLE, raising=False)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST and Fashion-MNIST as sets of 20 and 10 images, recognised by their labels."""
    for name, first in (("mnist", 0), ("fashion-mnist", 1)):
        seen = hashlib.sha256(bytes((k + first) % 10 for k in range(10))).hexdigest()
        small = replace(DATASETS[name], train=20, test=10, test_labels=seen)
        monkeypatch.setitem(DATASETS, name, small)


def put(folder: Path, first: int = 0, test: int = 10) -> Path:
    """The four files of a tiny set; ``first`` is the label of the first image."""
    folder.mkdir(parents=True, exist_ok=True)
    for images, labels, count in zip(
        IDX_NAMES[::2], IDX_NAMES[1::2], (20, test), strict=True
    ):
        pixels = torch.full((count, 28, 28), 7 + first, dtype=torch.uint8)
        write_idx(folder / images, pixels)
        write_idx(folder / labels, ((torch.arange(count) + first) % 10).byte())
    return folder


@pytest.mark.parametrize("name", ["mnist-small", "synthetic"])
def test_sets_that_need_no_file(name: str) -> None:
    data, known = load(name, download=False), DATASETS[name]
    assert (data.name, data.classes) == (name, known.classes)
    assert (len(data.train), len(data.test)) == (known.train, known.test)
    assert data.train.shape == known.shape
    assert load(name).train.pixels.equal(data.train.pixels)


def test_every_set_is_described() -> None:
    for name, known in DATASETS.items():
        assert known.title, name
        assert known.source, name
        assert known.licence, name
        assert len(known.classes) == 10
        assert bool(known.wanted) == bool(known.mirrors)
        assert all(mirror.endswith("/") for mirror in known.mirrors)
        assert len({one.sha256 for one in known.wanted}) == len(known.wanted)
        assert all(len(one.sha256) == 64 for one in known.wanted)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_the_real_sets(name: str) -> None:
    root = full(SYSTEM / name).parent if name == "fashion-mnist" else full(SHARED)
    data = load(name, root, download=False)
    per_class = data.test.labels.bincount()
    # The test set of MNIST alone is not balanced; its digit counts are published.
    mnist = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert per_class.tolist() == (mnist if name == "mnist" else [1000] * 10)
    # Published means of the training pixels, by channel, in [0, 1].
    means = {
        "mnist": [0.1307],
        "fashion-mnist": [0.2860],
        "cifar10": [0.4914, 0.4822, 0.4465],
    }
    sums = data.train.pixels.sum(dim=(0, 2, 3), dtype=torch.int64).double()
    pixels = data.train.pixels[:, 0].numel()
    assert (sums / pixels / 255).tolist() == pytest.approx(means[name], abs=1e-4)


def test_files_of_another_set_are_recognised() -> None:
    folder = full(SYSTEM / "fashion-mnist")
    with pytest.raises(
        DataError, match=r"mnist in .* its own files, got those of fashion-m"
    ):
        load("mnist", folder, download=False)
    with pytest.raises(DataError, match=r"fashion-mnist in .* got those of mnist$"):
        load("fashion-mnist", full(SHARED / "mnist"), download=False)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("below", ["", "mnist"])
@pytest.mark.parametrize("place", ["given", "variable", "cache", "system"])
def test_finds_files_in_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, below: str
) -> None:
    root = cache() if place == "cache" else tmp_path / place
    put(root / below)
    if place == "variable":
        monkeypatch.setenv(locate.VARIABLE, str(root))
    data = load("mnist", root if place == "given" else None, download=False)
    assert data.train.labels.tolist() == [k % 10 for k in range(20)]


@pytest.mark.usefixtures("tiny")
def test_own_folder_wins_over_files_of_the_same_name(tmp_path: Path) -> None:
    put(tmp_path, first=1)
    put(tmp_path / "mnist", first=0)
    assert int(load("mnist", tmp_path).train.pixels[0, 0, 0, 0]) == 7
    assert int(load("fashion-mnist", tmp_path).train.pixels[0, 0, 0, 0]) == 8


@pytest.mark.usefixtures("tiny")
def test_files_may_be_unpacked_and_a_folder_must_be_complete(tmp_path: Path) -> None:
    folder = put(tmp_path / "given")
    packed = folder / IDX_NAMES[2]
    unpacked = folder / IDX_NAMES[2].removesuffix(".gz")
    unpacked.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert len(load("mnist", folder, download=False).test) == 10
    unpacked.unlink()
    with pytest.raises(DataError, match=r"given: lacks t10k-images-idx3-ubyte\.gz\n"):
        load("mnist", folder, download=False)


@pytest.mark.usefixtures("tiny")
def test_refuses_a_set_of_another_size(tmp_path: Path) -> None:
    folder = put(tmp_path / "given", test=9)
    with pytest.raises(
        DataError, match=r"20 training and 10 test .* got 20 and 9 of shape"
    ):
        load("mnist", folder)


def test_absent_and_offline_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    with pytest.raises(DataError) as caught:
        load("fashion-mnist", given, download=False)
    message = str(caught.value)
    for place in (given, given / "fashion-mnist", cache(), tmp_path / "system"):
        assert f"  {place}: " in message
    assert all(name in message for name in IDX_NAMES)
    assert "--data-dir" in message
    assert locate.VARIABLE in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert "downloads are switched off" in message


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        UnknownName, match=r"Did you mean 'cifar10'\? Known: cifar10, fashion"
    ):
        load("cifar-10")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def served(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the tiny MNIST, with hashes of its own, behind a mirror that lacks it."""
    folder = put(tmp_path / "origin")
    files = {name: (folder / name).read_bytes() for name in IDX_NAMES}
    site.files |= {f"good/{name}": data for name, data in files.items()}
    shutil.rmtree(folder)
    wanted = tuple(
        Wanted(name, name.removesuffix(".gz"), hashlib.sha256(data).hexdigest())
        for name, data in files.items()
    )
    mirrors = (site.address + "absent/", site.address + "good/")
    source = replace(DATASETS["mnist"], wanted=wanted, mirrors=mirrors)
    monkeypatch.setitem(DATASETS, "mnist", source)


@pytest.mark.usefixtures("tiny")
def test_downloads_once_into_the_cache(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(site, tmp_path, monkeypatch)
    data = load("mnist")
    assert data.train.labels.tolist() == [k % 10 for k in range(20)]
    assert sorted(path.name for path in (cache() / "mnist").iterdir()) == sorted(IDX_NAMES)
    asked = len(site.asked)
    assert load("mnist").train.pixels.equal(data.train.pixels)
    assert len(site.asked) == asked == 8


@pytest.mark.usefixtures("tiny")
def test_goes_on_after_a_download_that_broke_off(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(site, tmp_path, monkeypatch)
    last = f"good/{IDX_NAMES[3]}"
    site.cut.add(last)
    with pytest.raises(DataError) as caught:
        load("mnist")
    message = str(caught.value)
    assert f"{IDX_NAMES[3]} could not be downloaded into {cache() / 'mnist'}" in message
    assert f"{site.address}{last}: " in message
    assert f"  {tmp_path / 'system'}: no such folder" in message
    assert sorted(path.name for path in (cache() / "mnist").iterdir()) == sorted(
        IDX_NAMES[:3]
    )
    site.cut.clear()
    site.asked.clear()
    assert len(load("mnist").test) == 10
    assert site.asked == [f"absent/{IDX_NAMES[3]}", last]


def test_reading_data_does_not_import_the_download_path() -> None:
    code = (
        "import sys, fedward.data.sources as s; s.load('synthetic')\n"
        "print([m for m in ('pooch', 'requests', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_embedded_set_works_from_inside_an_archive(tmp_path: Path) -> None:
    # As an installed wheel that is not unpacked: nothing but importlib.resources will do.
    archive = tmp_path / "fedward.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted((ROOT / "src").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                packed.write(path, path.relative_to(ROOT / "src"))
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "import fedward.data.sources as s\n"
        "print(s.__file__); print(len(s.load('mnist-small', download=False).train))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    where, count = done.stdout.split()
    assert where.startswith(str(archive))
    assert count == "10000"
