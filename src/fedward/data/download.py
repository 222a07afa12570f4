"""Downloads: several mirrors in turn, checked by hash, shown on the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedward.data.images import DataError
from fedward.data.locate import Wanted

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection and for the next bytes."""


class DownloadError(DataError):
    """No mirror gave the published file; the message says what each of them did."""


def fetch(
    wanted: Sequence[Wanted], mirrors: Sequence[str], folder: Path
) -> tuple[Path, ...]:
    """The files, in a folder; those that are there already are only checked.

    A file appears under its name only when it is whole and its hash is the published one.

    Args:
        wanted: the files; their names are appended to the mirrors' addresses.
        mirrors: addresses, each tried until one gives the file.
        folder: made if it is absent.

    Raises:
        DownloadError: if a file comes from no mirror.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        return tuple(_fetch_one(one, mirrors, folder, progress) for one in wanted)


def _fetch_one(
    one: Wanted, mirrors: Sequence[str], folder: Path, progress: "Progress"
) -> Path:
    import pooch
    from requests import RequestException

    # Its messages would break into the progress bar, which says the same.
    pooch.get_logger().setLevel("WARNING")
    complaints = []
    for mirror in mirrors:
        bar = _Bar(progress, one.name)
        downloader = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=TIMEOUT,
            # A server that packs on the way would make the sizes disagree.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            path = pooch.retrieve(
                mirror + one.name,
                known_hash=f"sha256:{one.sha256}",
                fname=one.name,
                path=folder,
                downloader=downloader,
            )
            return Path(path)
        except (RequestException, OSError) as error:
            complaints.append(f"{mirror}{one.name}: {error}")
        except ValueError:
            complaints.append(
                f"{mirror}{one.name}: its SHA-256 is not the published one, so the file is "
                "damaged, cut short or another"
            )
        bar.remove()
    raise DownloadError(
        f"{one.name} could not be downloaded into {folder}:\n  " + "\n  ".join(complaints)
    )


class _Bar:
    """What pooch expects of a progress bar; drawn once the server has said a size."""

    def __init__(self, progress: "Progress", name: str) -> None:
        self._progress = progress
        self._name = name
        self._task: TaskID | None = None
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        # A server that announces no size is reported as 0.
        self._task = self._progress.add_task(self._name, total=size or None)

    def update(self, received: int) -> None:
        if self._task is not None:
            self._progress.advance(self._task, received)

    def reset(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=0)

    def close(self) -> None:
        if self._task is not None:
            self._progress.stop_task(self._task)

    def remove(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
