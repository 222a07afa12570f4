"""Running the configurations of one command, and showing what came out."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedward.cli.progress import RunProgress
from fedward.data.images import Dataset
from fedward.data.sources import load
from fedward.engine import ENGINES, default_engine
from fedward.settings import lookup
from fedward.simulation.config import RunConfig, is_clean, label
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


@dataclass(frozen=True)
class Session:
    """How runs are run: where, on what, and what to do with unfinished ones."""

    runs: Path
    data_dir: Path | None
    engine: str | None
    device: str
    resume: bool
    restart: bool
    quiet: bool

    def run_all(self, configs: Sequence[RunConfig]) -> list[Finished]:
        """Every configuration in turn.

        Raises:
            Interrupted: on Ctrl-C, saying how to go on.
        """
        made = lookup("engine", self.engine, ENGINES)() if self.engine else None
        engine = made or default_engine(self.device)
        start = Start(resume=self.resume, anew=self.restart)
        finished: list[Finished] = []
        loaded: dict[str, Dataset] = {}
        with RunProgress(Console(stderr=True), self.quiet) as progress:
            for config in configs:
                folder = folder_of(config, self.runs)
                progress.begin(label(config), config.rounds)
                before = folder.finished() is not None and not self.restart
                if not before and config.dataset not in loaded:
                    loaded[config.dataset] = load(config.dataset, self.data_dir).to(
                        self.device
                    )
                try:
                    result = (
                        folder.finished()
                        if before
                        else run(
                            config,
                            loaded[config.dataset],
                            engine,
                            self.runs,
                            start,
                            progress.watch,
                            shlex.join(("fedward", *sys.argv[1:])),
                        )
                    )
                except KeyboardInterrupt as stop:
                    raise Interrupted(
                        f"stopped; every finished round of {label(config)} is saved in "
                        f"{folder.path}. Go on with the same command and --resume."
                    ) from stop
                if before:
                    progress.finished_before()
                finished.append(Finished(config, folder.path, result or {}))
        return finished


def write_results_report(results: Sequence[Finished], out: Path) -> Path:
    """The HTML report of these runs."""
    from fedward.report.html import write_report

    return write_report([done.folder for done in results], out)


def print_results(results: Sequence[Finished], report: Path, as_json: bool) -> None:
    """The table of figures and where the report is; or the results as JSON."""
    if as_json:
        rows = [{"folder": str(done.folder), **done.result} for done in results]
        print(json.dumps({"report": str(report), "runs": rows}, indent=2))
        return
    console = Console()
    console.print(results_table(results))
    console.print(f"Report: {report.resolve()}", soft_wrap=True, highlight=False)


COLUMNS = (
    ("MA", "ma_final"),
    ("ASR", "asr_final"),
    ("AASR", "aasr"),
    ("AER", "aer"),
    ("BRR", "brr"),
)


def results_table(results: Sequence[Finished]) -> Table:
    """Percentages by run; the floor is the same seed's run in which nobody attacks."""
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
    floors = {
        done.config.seed: done.result["metrics"]["aasr"]
        for done in results
        if is_clean(done.config)
    }
    for done in results:
        figures = [number(done.result["metrics"][key]) for _, key in COLUMNS]
        floor = number(floors.get(done.config.seed))
        table.add_row(
            label(done.config), str(done.config.seed), *figures[:3], floor, *figures[3:]
        )
    return table


def number(share: float | None) -> str:
    """A share in percent with two decimals, a dash where undefined."""
    return "-" if share is None else f"{100 * share:.2f}"
