"""The data sets by name: what they are, where they come from, how they are read."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from fedward.data import locate
from fedward.data.cifar import read_cifar10
from fedward.data.download import DownloadError, fetch
from fedward.data.idx import read_idx_images
from fedward.data.images import DataError, Dataset, Images
from fedward.data.locate import Wanted
from fedward.data.synthetic import synthetic
from fedward.settings import lookup

Parts = tuple[Images, Images]


@dataclass(frozen=True)
class Description:
    """A data set that `load` knows.

    Attributes:
        title: one line in plain words.
        source: who made it, and where it is described.
        licence: what it may be used for.
        classes: the name of every label.
        shape: channels, height and width of an image.
        train: number of training images.
        test: number of test images.
        read: training and test images from the files of ``wanted``, in that order.
        wanted: files to be found or downloaded; none for a set that needs none.
        mirrors: addresses that the names of ``wanted`` are appended to.
        install: a command that provides the files on some systems.
        test_labels: SHA-256 of the test labels as bytes, to recognise the set by.
    """

    title: str
    source: str
    licence: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    train: int
    test: int
    read: Callable[[Sequence[Traversable]], Parts]
    wanted: tuple[Wanted, ...] = ()
    mirrors: tuple[str, ...] = ()
    install: str | None = None
    test_labels: str | None = None


def load(name: str, data_dir: Path | None = None, download: bool = True) -> Dataset:
    """A data set by name, from this machine where it can be found, else downloaded.

    The places are, in turn, ``data_dir``, the folder named by the environment variable
    ``FEDWARD_DATA``, the user's cache, and ``/usr/share/datasets``; each is searched under
    the data set's name and directly.

    Args:
        name: a key of `DATASETS`.
        data_dir: a folder to look in first.
        download: whether to use the network if the files are nowhere.

    Raises:
        UnknownName: with the known names and the nearest one.
        DataError: if the files are damaged, belong to another set, or cannot be had; the
            message names the file, or every place looked at and what to provide.
    """
    known = lookup("data set", name, DATASETS)
    paths = _obtained(name, known, data_dir, download) if known.wanted else ()
    train, test = known.read(paths)
    where = f"{name} in {paths[0].parent}" if paths else name
    _require_identity(where, known, train, test)
    return Dataset(name, train, test, known.classes)


def _obtained(
    name: str, known: Description, data_dir: Path | None, download: bool
) -> tuple[Path, ...]:
    searched = locate.folders(name, data_dir)
    for folder in searched:
        paths = locate.find(known.wanted, folder)
        if paths:
            return paths
    complaint = "downloads are switched off"
    if download:
        try:
            return fetch(known.wanted, known.mirrors, locate.cache() / name)
        except DownloadError as error:
            complaint = str(error)
    names = ", ".join(one.name for one in known.wanted)
    lines = [
        f"the data set {name} is not on this machine. Looked in:",
        *(f"  {folder}: {locate.lacking(known.wanted, folder)}" for folder in searched),
        f"and {complaint}",
        f"Put {names} (or the same unpacked) into {locate.cache() / name}, or into "
        f"a folder given by --data-dir or the variable {locate.VARIABLE}.",
    ]
    if known.install:
        lines.append(f"On Debian and Ubuntu, {known.install} provides them.")
    raise DataError("\n".join(lines))


def _require_identity(where: str, known: Description, train: Images, test: Images) -> None:
    got = (len(train), len(test), train.shape)
    if got != (known.train, known.test, known.shape):
        raise DataError(
            f"{where} needs {known.train} training and {known.test} test images of shape "
            f"{known.shape}, got {got[0]} and {got[1]} of shape {got[2]}"
        )
    # MNIST and Fashion-MNIST have the same file names, sizes and shapes.
    seen = hashlib.sha256(test.labels.byte().numpy().tobytes()).hexdigest()
    for other, another in DATASETS.items():
        if another is not known and another.test_labels == seen:
            raise DataError(f"{where} needs its own files, got those of {other}")


def _read_idx_set(paths: Sequence[Traversable]) -> Parts:
    return (
        read_idx_images(paths[0], paths[1], classes=10),
        read_idx_images(paths[2], paths[3], classes=10),
    )


def _read_embedded(paths: Sequence[Traversable]) -> Parts:
    folder = resources.files("fedward.data") / "embedded"
    return _read_idx_set([folder / name for name in IDX_NAMES])


def _read_cifar10(paths: Sequence[Traversable]) -> Parts:
    return read_cifar10(Path(str(paths[0])))


def _read_synthetic(paths: Sequence[Traversable]) -> Parts:
    made = synthetic()
    return made.train, made.test


IDX_NAMES = tuple(
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)


def _idx_files(*hashes: str) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(name, name.removesuffix(".gz"), sha256)
        for name, sha256 in zip(IDX_NAMES, hashes, strict=True)
    )


LECUN = (
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to "
    "document recognition, Proc. IEEE 86(11), 1998; http://yann.lecun.com/exdb/mnist/"
)
DIGITS = tuple("0123456789")

DATASETS: dict[str, Description] = {
    "mnist-small": Description(
        title="Handwritten digits, a stratified sixth of MNIST that comes with the package",
        source=LECUN,
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
        classes=DIGITS,
        shape=(1, 28, 28),
        train=10_000,
        test=2_000,
        read=_read_embedded,
    ),
    "mnist": Description(
        title="Handwritten digits",
        source=LECUN,
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
        classes=DIGITS,
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        read=_read_idx_set,
        wanted=_idx_files(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        test_labels="ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
    "fashion-mnist": Description(
        title="Articles of clothing, in the format of MNIST",
        source=(
            "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for "
            "benchmarking machine learning algorithms, 2017; https://arxiv.org/abs/1708.07747"
        ),
        licence="MIT (Zalando SE)",
        classes=(
            "T-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        read=_read_idx_set,
        wanted=_idx_files(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        install="apt-get install dataset-fashion-mnist",
        test_labels="3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    ),
    "cifar10": Description(
        title="Small colour photographs of animals and vehicles",
        source=(
            "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009; "
            "https://www.cs.toronto.edu/~kriz/cifar.html"
        ),
        licence="none stated; the authors ask to be cited",
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        shape=(3, 32, 32),
        train=50_000,
        test=10_000,
        read=_read_cifar10,
        wanted=(
            Wanted(
                "cifar-10-binary.tar.gz",
                "cifar-10-batches-bin",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        mirrors=(
            "https://www.cs.toronto.edu/~kriz/",
            "https://cave.cs.toronto.edu/kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
    ),
    "synthetic": Description(
        title="Bright spots on noise, made in a moment; for tests and trials",
        source="made by fedward.data.synthetic",
        licence="Apache-2.0",
        classes=tuple(f"spot {k}" for k in range(10)),
        shape=(1, 28, 28),
        train=600,
        test=200,
        read=_read_synthetic,
    ),
}
