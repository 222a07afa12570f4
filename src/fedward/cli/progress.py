"""What a person sees while rounds go by: a live display, or plain lines in a log."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from fedward.simulation.records import RoundRecord


def percent(share: float | None) -> str:
    """A share as a percentage, a dash where undefined."""
    return "-" if share is None else f"{100 * share:.1f}%"


FIELDS = ("ma", "asr", "attackers", "honest", "pace")


class RunProgress:
    """Progress of several runs, one after another.

    On a terminal it is a live display of bars; elsewhere one line a round.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("MA [bold]{task.fields[ma]}[/]"),
            TextColumn("ASR [bold]{task.fields[asr]}[/]"),
            TextColumn("attackers in {task.fields[attackers]}"),
            TextColumn("honest out {task.fields[honest]}"),
            TextColumn("{task.fields[pace]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.task: TaskID | None = None
        self.name, self.total, self.began, self.seen = "", 0, 0.0, 0

    def __enter__(self) -> "RunProgress":
        if self.live:
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.progress.stop()

    def begin(self, name: str, total: int) -> None:
        """A new run."""
        self.name, self.total, self.began, self.seen = name, total, time.monotonic(), 0
        if self.live:
            blank: dict[str, Any] = dict.fromkeys(FIELDS, "-")
            self.task = self.progress.add_task(name, total=total, **blank)

    def finished_before(self) -> None:
        """The run was finished already and is not run again."""
        if self.live and self.task is not None:
            self.progress.update(self.task, completed=self.total, pace="finished before")
        elif not self.quiet:
            self.console.print(
                f"{self.name}: finished before, not run again", highlight=False
            )

    def watch(self, record: RoundRecord) -> None:
        """A round is over."""
        self.seen += 1
        seconds = sum(record.seconds.values())
        fields: dict[str, Any] = {
            "ma": percent(record.ma),
            "asr": percent(next(iter(record.asr.values()), None)),
            "attackers": f"{record.admitted_attackers}/{record.attackers}",
            "honest": f"{record.rejected_benign}/{len(record.judged) - record.attackers}",
            "pace": f"{seconds:.1f} s a round",
        }
        if self.live and self.task is not None:
            self.progress.update(self.task, advance=1, **fields)
        elif not self.quiet:
            left = (self.total - record.round - 1) * (time.monotonic() - self.began)
            self.console.print(
                f"{self.name}: round {record.round + 1}/{self.total}  MA {fields['ma']}  "
                f"ASR {fields['asr']}  attackers in {fields['attackers']}  "
                f"honest out {fields['honest']}  {fields['pace']}  "
                f"{left / self.seen:.0f} s left"
                + (f"  held: {record.held}" if record.held else ""),
                highlight=False,
                soft_wrap=True,
            )
