"""Where the files of a data set may lie."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from fedward.data.images import DataError

VARIABLE = "FEDWARD_DATA"
SYSTEM = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Wanted:
    """A file that a data set needs.

    Attributes:
        name: as it is published.
        unpacked: the file or folder that serves as well.
        sha256: of the published file; checked on downloads only, for a file that the user
            put in place may be packed otherwise.
    """

    name: str
    unpacked: str
    sha256: str


def cache() -> Path:
    """The folder that downloads go to."""
    return user_cache_path("fedward", appauthor=False)


def folders(name: str, data_dir: Path | None) -> tuple[Path, ...]:
    """Folders that may hold the data set, in the order of the search.

    In every place the folder of the data set's own name comes first, since MNIST and
    Fashion-MNIST give their files the same names.

    Raises:
        DataError: if ``data_dir`` is given but is no folder.
    """
    if data_dir is not None and not os.path.isdir(data_dir):
        raise DataError(f"the data folder {data_dir} needs to exist, got no such folder")
    named = os.environ.get(VARIABLE)
    places = (data_dir, Path(named) if named else None, cache(), SYSTEM)
    return tuple(folder for place in places if place for folder in (place / name, place))


def find(wanted: Sequence[Wanted], folder: Path) -> tuple[Path, ...] | None:
    """The files in a folder that has all of them, else None."""
    paths = [_present(one, folder) for one in wanted]
    return tuple(path for path in paths if path) if all(paths) else None


def lacking(wanted: Sequence[Wanted], folder: Path) -> str:
    """What a folder lacks, in words."""
    if not os.path.isdir(folder):
        return "no such folder"
    return "lacks " + ", ".join(one.name for one in wanted if not _present(one, folder))


def _present(one: Wanted, folder: Path) -> Path | None:
    paths = (folder / one.name, folder / one.unpacked)
    # Unlike Path.exists, os.path.exists says no where permission is lacking.
    return next((path for path in paths if os.path.exists(path)), None)
