"""Running the configurations of one command, and showing what came out."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedward.cli.progress import RunProgress
from fedward.data.images import Dataset
from fedward.data.sources import load
from fedward.engine import ENGINES, Engine, default_engine
from fedward.engine.seam import ClientFailed
from fedward.settings import lookup
from fedward.simulation.config import RunConfig, clean_twin, label
from fedward.simulation.failures import OnFailure
from fedward.simulation.metrics import floor
from fedward.simulation.runner import Start, folder_of, run


@dataclass(frozen=True)
class Finished:
    """A run that is over.

    Attributes:
        result: what its ``result.json`` holds.
    """

    config: RunConfig
    folder: Path
    result: dict[str, Any]


class Interrupted(RuntimeError):
    """The user stopped the command; nothing is lost."""


class Stopped(RuntimeError):
    """A client's training raised and ended the run; the rounds before it are saved."""


@dataclass(frozen=True)
class Session:
    """How runs are run: where, on what, and what to do with unfinished ones."""

    runs: Path
    data_dir: Path | None
    engine: str | None
    device: str
    resume: bool
    restart: bool
    on_failure: OnFailure
    quiet: bool
    _loaded: dict[str, Dataset] = field(default_factory=dict, init=False, repr=False)

    def run_all(self, configs: Sequence[RunConfig]) -> list[Finished]:
        """Every configuration in turn.

        Raises:
            Interrupted: on Ctrl-C, saying how to go on.
            Stopped: if a client's training raised and that ends the run.
        """
        with RunProgress(Console(stderr=True), self.quiet) as progress:
            return [self._finished(config, progress) for config in configs]

    def _finished(self, config: RunConfig, progress: RunProgress) -> Finished:
        """One configuration; a finished one is read, and its data are not even loaded."""
        folder = folder_of(config, self.runs)
        progress.begin(label(config), config.rounds)
        result = None if self.restart else folder.finished()
        if result is not None:
            progress.finished_before()
            return Finished(config, folder.path, result)
        try:
            result = run(
                config,
                self._data(config.dataset),
                self._engine,
                self.runs,
                Start(resume=self.resume, anew=self.restart),
                progress.watch,
                shlex.join(("fedward", *sys.argv[1:])),
                self.on_failure,
            )
        except ClientFailed as failure:
            raise Stopped(
                f"{failure}. Every finished round of {label(config)} is saved in "
                f"{folder.path}: mend the cause and go on with --resume, or leave clients "
                "that fail out of their rounds with --resume --on-failure drop."
            ) from failure
        except KeyboardInterrupt as stop:
            raise Interrupted(
                f"stopped; every finished round of {label(config)} is saved in "
                f"{folder.path}. Go on with the same command and --resume."
            ) from stop
        return Finished(config, folder.path, result)

    @cached_property
    def _engine(self) -> Engine:
        if self.engine is None:
            return default_engine(self.device)
        return lookup("engine", self.engine, ENGINES)()

    def _data(self, name: str) -> Dataset:
        """Loaded once, however many runs share it."""
        if name not in self._loaded:
            self._loaded[name] = load(name, self.data_dir).to(self.device)
        return self._loaded[name]


def write_results_report(results: Sequence[Finished], out: Path) -> Path:
    """The HTML report of these runs.

    Raises:
        ValueError: if it cannot be written.
    """
    from fedward.report.html import write_report

    try:
        return write_report([done.folder for done in results], out)
    except OSError as error:
        raise ValueError(f"the report cannot be written: {error}") from error


def print_results(results: Sequence[Finished], report: Path, as_json: bool) -> None:
    """Write the report, and print figures and where it is; or the results as JSON.

    The figures come first: they are worth seeing where the report cannot be written.
    """
    if as_json:
        rows = [{"folder": str(done.folder), **done.result} for done in results]
        told: dict[str, Any] = {"report": None, "runs": rows}
        try:
            told["report"] = str(write_results_report(results, report))
        finally:
            print(json.dumps(told, indent=2))
        return
    console = Console()
    console.print(results_table(results))
    written = write_results_report(results, report)
    console.print(f"Report: {written.resolve()}", soft_wrap=True, highlight=False)


COLUMNS = (
    ("MA", "ma_final"),
    ("ASR", "asr_final"),
    ("AASR", "aasr"),
    ("AER", "aer"),
    ("BRR", "brr"),
)


def results_table(results: Sequence[Finished]) -> Table:
    """Percentages by run; the floor is that of the run's own clean twin."""
    table = Table(
        title="After the last round, in %",
        caption=(
            "MA main accuracy, ASR attack success rate, AASR its mean over the attack, "
            "floor the AASR of a clean model, AER attackers admitted, BRR honest rejected"
        ),
    )
    table.add_column("defence")
    for name in ("seed", *(title for title, _ in COLUMNS[:3]), "floor", "AER", "BRR"):
        table.add_column(name, justify="right")
    measured = {done.config: done.result["metrics"] for done in results}
    for done in results:
        figures = [number(done.result["metrics"][key]) for _, key in COLUMNS]
        low = number(floor(done.config, measured.get(clean_twin(done.config))))
        table.add_row(
            label(done.config), str(done.config.seed), *figures[:3], low, *figures[3:]
        )
    return table


def number(share: float | None) -> str:
    """A share in percent with two decimals, a dash where undefined."""
    return "-" if share is None else f"{100 * share:.2f}"
