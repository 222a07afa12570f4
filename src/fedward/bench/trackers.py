"""The rounds of cells for experiment trackers: TensorBoard and MLflow, as files.

Every cell is written once, when it is finished: whoever asks for a tracker later gets the
cells that were finished before as well.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from fedward.bench.grid import Cell
from fedward.settings import lookup

Line = Mapping[str, Any]


@runtime_checkable
class Tracker(Protocol):
    """Somewhere that curves are shown."""

    def write(self, cell: Cell, name: str, rounds: Sequence[Line], result: Line) -> None:
        """Write a finished cell, unless it is there.

        Args:
            name: unlike that of any other cell of the grid.
            rounds: lines of its ``rounds.jsonl``.
            result: what its ``result.json`` holds.
        """


def curves(rounds: Sequence[Line], selects: bool) -> Iterator[tuple[str, int, float]]:
    """Name, round and value of every figure that is defined; shares in [0, 1].

    AER and BRR are of the one round, and are there where the defence decided and selects.
    """
    for line in rounds:
        figures = {"MA": line["ma"]}
        figures |= {f"ASR/{probe}": share for probe, share in line["asr"].items()}
        if selects and line["defended"]:
            honest = line["clients"] - line["attackers"]
            figures["AER"] = _share(line["admitted_attackers"], line["attackers"])
            figures["BRR"] = _share(line["rejected_benign"], honest)
        for name, value in figures.items():
            if value is not None:
                yield name, line["round"], value


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class TensorBoard:
    """A folder of event files a cell, for ``tensorboard --logdir``."""

    def __init__(self, folder: Path, grid: str) -> None:
        self.make: Any = import_module("torch.utils.tensorboard").SummaryWriter
        self.folder = folder / "tensorboard" / grid

    def write(self, cell: Cell, name: str, rounds: Sequence[Line], result: Line) -> None:
        """See `Tracker`."""
        name = f"{name}-{cell.key}"  # another configuration may have the same places
        whole = self.folder / name
        if whole.exists():
            return
        # Whole or not at all: what an interrupt leaves is not taken for a cell.
        part = self.folder / f".{name}"
        for stale in part.glob("*"):
            stale.unlink()
        with self.make(str(part)) as writer:
            for figure, round, value in curves(rounds, cell.config.defense.selects):
                writer.add_scalar(figure, value, round)
            at = "\n".join(f"    {axis}: {value}" for axis, value in cell.at.items())
            writer.add_text("cell", f"    key: {cell.key}\n{at}")
        part.rename(whole)


class MLflow:
    """A run a cell in a local file store, for ``mlflow ui --backend-store-uri``."""

    def __init__(self, folder: Path, grid: str) -> None:
        # From version 3.11 MLflow opens a store of plain files only where this is said.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow: Any = import_module("mlflow")
        self.entities: Any = import_module("mlflow.entities")
        store = (folder / "mlflow").absolute()
        self.client = mlflow.MlflowClient(tracking_uri=store.as_uri())
        held = self.client.get_experiment_by_name(grid)
        self.experiment = (
            held.experiment_id if held else self.client.create_experiment(grid)
        )

    def write(self, cell: Cell, name: str, rounds: Sequence[Line], result: Line) -> None:
        """See `Tracker`."""
        wanted = f"tags.key = '{cell.key}' and attributes.status = 'FINISHED'"
        if self.client.search_runs([self.experiment], wanted):
            return
        tags = {"key": cell.key, "mlflow.runName": name}
        run = self.client.create_run(self.experiment, tags=tags).info.run_id
        now = int(time.time() * 1000)
        metrics = [
            self.entities.Metric(figure, value, now, round)
            for figure, round, value in curves(rounds, cell.config.defense.selects)
        ]
        params = [self.entities.Param(axis, value) for axis, value in cell.at.items()]
        for first in range(0, len(metrics), 1000):  # MLflow's most in one call
            self.client.log_batch(run, metrics=metrics[first : first + 1000])
        self.client.log_batch(run, params=params)
        self.client.set_terminated(run)


TRACKERS: Mapping[str, Callable[[Path, str], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
}


def make_tracker(name: str, folder: Path, grid: str) -> Tracker:
    """A tracker that writes into a folder.

    Raises:
        UnknownName: with the trackers that there are.
        ValueError: if its extra is not installed.
    """
    made = lookup("tracker", name, TRACKERS)
    try:
        return made(folder, grid)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the tracker {name!r} needs {error.name}: pip install 'fedward[{name}]'"
        ) from error
