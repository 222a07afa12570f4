import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from fedward.data.idx import read_idx, read_idx_images
from fedward.data.sources import load
from tests.data.places import SHARED, full

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_mnist_small.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_mnist_small", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quotas_are_the_largest_remainders(script: ModuleType) -> None:
    # 7 of 5 + 3 + 2: exactly 3.5, 2.1 and 1.4, so the one missing goes to the first.
    assert script.quotas(torch.tensor([5, 3, 2]), 7).tolist() == [4, 2, 1]
    # 1 of 2 + 2: a tie, which goes to the lower class.
    assert script.quotas(torch.tensor([2, 2]), 1).tolist() == [1, 0]


def test_choice_is_stratified_ascending_and_by_chance(script: ModuleType) -> None:
    labels = torch.arange(900) % 3
    kept = script.chosen(labels, 90, "train")
    assert labels[kept].bincount().tolist() == [30, 30, 30]
    assert kept.diff().min() > 0
    assert not kept.equal(script.chosen(labels, 90, "t10k"))
    # By chance: the first half of the set holds about half of the choice.
    assert 30 < int((kept < 450).sum()) < 60


def test_embedded_files_are_what_the_script_makes(tmp_path: Path) -> None:
    source = full(SHARED / "mnist")
    command = [sys.executable, str(SCRIPT), str(source), "--out", str(tmp_path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made = {
        part: read_idx_images(
            tmp_path / f"{part}-images-idx3-ubyte.gz",
            tmp_path / f"{part}-labels-idx1-ubyte.gz",
            classes=10,
        )
        for part in ("train", "t10k")
    }
    data = load("mnist-small")
    for small, part in ((data.train, "train"), (data.test, "t10k")):
        assert small.pixels.equal(made[part].pixels)
        assert small.labels.equal(made[part].labels)


def test_embedded_set_is_a_stratified_part_of_mnist() -> None:
    source, data = full(SHARED / "mnist"), load("mnist-small")
    for small, part, size in ((data.train, "train", 10_000), (data.test, "t10k", 2_000)):
        labels = read_idx(source / f"{part}-labels-idx1-ubyte.gz", 1).long()
        exact = labels.bincount() * size / len(labels)
        assert len(small) == size
        assert (small.labels.bincount() - exact).abs().max() < 1
        pixels = read_idx(source / f"{part}-images-idx3-ubyte.gz", 3)
        known = {
            (label, image.tobytes())
            for label, image in zip(labels.tolist(), pixels.numpy(), strict=True)
        }
        images = zip(small.labels.tolist(), small.pixels[:, 0].numpy(), strict=True)
        assert all((label, image.tobytes()) in known for label, image in images)
