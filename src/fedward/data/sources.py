"""The data sets by name."""

from importlib import resources
from pathlib import Path

from fedward.data.idx import read_idx_images
from fedward.data.images import Dataset
from fedward.data.synthetic import synthetic
from fedward.settings import UnknownName

DIGITS = tuple("0123456789")


def load(name: str, data_dir: Path | None = None, download: bool = True) -> Dataset:
    """The data set called ``name``."""
    if name == "synthetic":
        return synthetic()
    if name != "mnist-small":
        raise UnknownName("data set", name, ("mnist-small", "synthetic"))
    folder = resources.files("fedward.data") / "embedded"
    train, test = (
        read_idx_images(
            folder / f"{part}-images-idx3-ubyte.gz",
            folder / f"{part}-labels-idx1-ubyte.gz",
            10,
        )
        for part in ("train", "t10k")
    )
    return Dataset(name, train, test, DIGITS)
