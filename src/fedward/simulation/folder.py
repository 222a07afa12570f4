"""A run on disk: what has been decided is never lost, and half a line is never believed.

Lines are appended first, then the checkpoint replaces the old one in a single rename and
says how long the lines were. After a crash at any moment, cutting the lines to that length
gives exactly what the checkpoint continues from.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fedward.simulation.checkpoint import read_checkpoint, to_bytes
from fedward.simulation.config import RunConfig, to_table
from fedward.simulation.records import RoundRecord, State, from_lines


class RunLocked(RuntimeError):
    """Another process writes this folder."""


class RunBroken(ValueError):
    """What the folder holds cannot be continued."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and the rules of writing them.

    Attributes:
        engine: name of the engine that trains; a run goes on with its own only.
    """

    path: Path
    engine: str = ""

    @property
    def config(self) -> Path:
        """The settings."""
        return self.path / "config.json"

    @property
    def rounds(self) -> Path:
        """One line a round."""
        return self.path / "rounds.jsonl"

    @property
    def verdicts(self) -> Path:
        """One line a client and round."""
        return self.path / "verdicts.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The state after the last finished round."""
        return self.path / "checkpoint.safetensors"

    @property
    def result(self) -> Path:
        """The figures; there when, and only when, the run is finished."""
        return self.path / "result.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one process; the lock goes with the process, however it ends.

        Raises:
            RunLocked: naming the folder and the process that holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        holder = self.path / "lock.pid"
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            pid = holder.read_text().strip() if holder.exists() else "unknown"
            raise RunLocked(
                f"{self.path} is being written by another process (pid {pid}); "
                "wait for it, or stop it first"
            ) from error
        try:
            holder.write_text(str(os.getpid()))
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def begin(self, config: RunConfig) -> None:
        """An empty run with its settings; what was there is removed."""
        for path in (self.result, self.checkpoint, self.rounds, self.verdicts):
            path.unlink(missing_ok=True)
        replace_file(self.config, as_json({"key": config.key, **to_table(config)}))

    def append(self, config: RunConfig, state: State, record: RoundRecord) -> None:
        """Write a finished round: its lines, then the state after it."""
        sizes = self.append_record(record)
        replace_file(self.checkpoint, to_bytes(config.key, self.engine, state, sizes))

    def append_record(self, record: RoundRecord) -> dict[str, int]:
        """Write a round's lines; how long the files are now, for the checkpoint.

        The verdicts come first, so whoever reads a live run finds those of every round.
        """
        verdicts = append_lines(self.verdicts, [c.to_line() for c in record.clients])
        rounds = append_lines(self.rounds, [record.to_line()])
        return {"rounds": rounds, "verdicts": verdicts}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Take away the lines behind a checkpoint.

        Raises:
            RunBroken: if lines before it are lost.
        """
        for path in (self.rounds, self.verdicts):
            held = path.stat().st_size if path.exists() else 0
            if held < sizes[path.stem]:
                raise RunBroken(
                    f"{path} needs the {sizes[path.stem]} bytes that its checkpoint "
                    f"counts, got {held}; begin it anew, with 'fedward run --restart' or "
                    "without this folder"
                )
            os.truncate(path, sizes[path.stem])

    def resume(self, config: RunConfig) -> tuple[State, list[RoundRecord]] | None:
        """The last saved state and the rounds before it; None if no round was finished.

        Raises:
            CheckpointError: if it belongs to another configuration or engine.
            RunBroken: if the folder has lost lines.
        """
        if not self.checkpoint.exists():
            return None
        state, sizes = read_checkpoint(self.checkpoint, config.key, self.engine)
        self.cut(sizes)
        return state, self.records()

    def records(self) -> list[RoundRecord]:
        """Every finished round, in order.

        Raises:
            RunBroken: if a line is damaged or lacks something.
        """
        verdicts: dict[int, list[Mapping[str, Any]]] = {}
        try:
            for line in read_lines(self.verdicts):
                verdicts.setdefault(line["round"], []).append(line)
            return [
                from_lines(line, verdicts[line["round"]])
                for line in read_lines(self.rounds)
            ]
        except (KeyError, TypeError) as error:
            what = error.args[0]
            lacking = f"the verdicts of round {what}" if isinstance(what, int) else what
            raise RunBroken(
                f"{self.path} is damaged: its lines need {lacking}, got none"
            ) from error

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write the figures and when it was; from now on the run is finished."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        finished = {**result, "finished": now}
        replace_file(self.result, as_json(finished))
        return finished

    def finished(self) -> dict[str, Any] | None:
        """The figures of a finished run, or None.

        Raises:
            RunBroken: if the file holds something else.
        """
        if not self.result.exists():
            return None
        try:
            result = json.loads(self.result.read_text())
        except (ValueError, RecursionError) as error:
            raise RunBroken(
                f"{self.result} is damaged ({error}); without it, the run is worked out "
                "again from its last round"
            ) from error
        wrong = wrong_result(result)
        if wrong is not None:
            raise RunBroken(f"{self.result} needs the figures of a run: {wrong}")
        return dict(result)


PARTS: Mapping[str, tuple[type[Any], ...]] = {
    "config": (Mapping,),
    "metrics": (Mapping,),
    "provenance": (Mapping,),
    "rounds": (int,),
    "seconds": (int, float),
}
"""What every result has, and of which kind it is."""

METRIC = (int, float, Mapping, type(None))


def wrong_result(result: Any) -> str | None:
    """What a result needs and what it has instead; None if nothing is wrong."""
    if not isinstance(result, Mapping):
        return f"it needs to be an object, got {result!r:.60}"
    for part, kinds in PARTS.items():
        if not isinstance(result.get(part), kinds):
            kind = "an object" if Mapping in kinds else "a number"
            got = f"{result[part]!r:.60}" if part in result else "nothing"
            return f"{part} needs to be {kind}, got {got}"
    for name, value in result["metrics"].items():
        if not isinstance(value, METRIC):
            return f"metrics.{name} needs to be a number, got {value!r:.60}"
    return None


def append_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> int:
    """Append JSON lines, on the disk when this returns; the file's size in bytes."""
    with path.open("ab") as file:
        for line in lines:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines; a missing file has none, and one still being written is left out.

    Raises:
        RunBroken: naming the file and the line that is none.
    """
    if not path.exists():
        return []
    whole = path.read_bytes().split(b"\n")[:-1]
    return [_object(line, f"{path}, line {n},") for n, line in enumerate(whole, start=1)]


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunBroken(f"{where} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunBroken(f"{where} is damaged: it needs an object, got {value!r:.60}")
    return value


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def as_json(value: Mapping[str, Any]) -> bytes:
    """Readable JSON."""
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"
