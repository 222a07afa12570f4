"""Run folders, read into frozen records: the input of everything that a report shows.

The files and their fields are those of docs/architecture.md, "A run folder". Fields that
are not known here are ignored, so that an older report reads a newer run.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from fedward.defenses import DEFENSES
from fedward.protocol import Verdict

T = TypeVar("T")
Parse = Callable[[bytes], T]

Metric = float | None | Mapping[str, float | None]
"""A share in [0, 1], None where undefined, or one of those for each part of a trigger."""


class BrokenRun(ValueError):
    """A folder that is not a run, or a file of one that cannot be read."""


@dataclass(frozen=True)
class RoundView:
    """One line of ``rounds.jsonl``; shares in [0, 1].

    Whether it was attacked, by how many, and what of that was judged wrongly is None where
    nobody knows, as in a deployment.

    Attributes:
        asr: by probe, the headline first; empty in rounds that did not measure it.
    """

    round: int
    attacked: bool | None
    defended: bool
    ma: float | None
    asr: Annotated[Mapping[str, float], BeforeValidator(lambda asr: asr or {})]
    held: str | None
    clients: int
    attackers: int | None
    admitted_attackers: int | None
    rejected_benign: int | None
    facts: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class VerdictView(Verdict):
    """One line of ``verdicts.jsonl``: what became of one client in one round.

    Attributes:
        malicious: None where nobody knows, as in a deployment.
    """

    round: int
    client: int
    malicious: bool | None
    rarity: float | None = None


@dataclass(frozen=True)
class ResultView:
    """``result.json``, written when a run is finished."""

    key: str
    name: str
    config: Mapping[str, Any]
    rounds: int
    metrics: Mapping[str, Metric]
    params_sha256: str
    seconds: float
    provenance: Mapping[str, Any] = field(default_factory=dict)
    finished: str | None = None


@dataclass(frozen=True)
class RunView:
    """One run folder.

    Attributes:
        folder: where it lies.
        name: as its result calls it; until it has one, its defence.
        key: hash of the configuration; None where the folder does not say it yet.
        rounds: in ascending order, no round twice.
        verdicts: of those rounds, ordered by round and client.
        result: None while the run is unfinished.
    """

    folder: Path
    name: str
    key: str | None
    config: Mapping[str, Any]
    rounds: tuple[RoundView, ...]
    verdicts: tuple[VerdictView, ...]
    result: ResultView | None

    @property
    def attack(self) -> str | None:
        """Name of the attack, which may only be measured, not made; see `clean`."""
        return named(self.config.get("attack"))

    @property
    def blind(self) -> bool:
        """Whether nobody knows who attacks, if only in some rounds, as in a deployment.

        Before its first round the settings tell: a deployment plans no attackers.
        """
        if not self.rounds:
            return "attackers" not in self.config
        return any(record.attacked is None for record in self.rounds)

    @property
    def clean(self) -> bool:
        """Whether nobody ever attacks: no attack, no attackers, or no time for it.

        A run is not clean where nobody knows, nor in a drill, whose settings name no
        attack, once an attacker took part.
        """
        attackers = self.config.get("attackers")
        if self.blind:
            return False
        if self.attack is None or not isinstance(attackers, Mapping):
            return self.attack is None and not self.attacked_rounds
        stop, start = attackers.get("stop"), attackers.get("start") or 0
        end = self.planned if stop is None else min(stop, self.planned)
        return attackers.get("count") == 0 or bool(end <= start)

    @property
    def defense(self) -> str | None:
        """Name of the defence."""
        return named(self.config.get("defense"))

    @property
    def planned(self) -> int:
        """How many rounds the run has when finished."""
        planned = self.config.get("rounds")
        return planned if isinstance(planned, int) else len(self.rounds)

    @cached_property
    def headline(self) -> str:
        """The probe that stands for the attack's success: the first one measured."""
        return next((probe for record in self.rounds for probe in record.asr), "whole")

    @property
    def selects(self) -> bool:
        """Whether the defence accepts some clients and rejects others.

        A defence that this version does not know selects if it ever rejected a client.
        """
        known = DEFENSES.get(self.defense or "")
        if known is not None:
            return bool(known.selects)
        return any(not verdict.accepted for verdict in self.verdicts)

    @cached_property
    def by_round(self) -> Mapping[int, tuple[VerdictView, ...]]:
        """The verdicts of each round that has any, in order."""
        groups = itertools.groupby(self.verdicts, key=lambda verdict: verdict.round)
        return {number: tuple(group) for number, group in groups}

    @property
    def attacked_rounds(self) -> tuple[int, ...]:
        """Numbers of the rounds known to be under attack."""
        return tuple(record.round for record in self.rounds if record.attacked)


CONFIG = TypeAdapter(dict[str, Any]).validate_json
ROUND = TypeAdapter(RoundView).validate_json
VERDICT = TypeAdapter(VerdictView).validate_json
RESULT = TypeAdapter(ResultView).validate_json


def named(table: Any) -> str | None:
    """The name of a part of a configuration, given as ``{"name": ...}`` or as a word."""
    name = table.get("name") if isinstance(table, Mapping) else table
    return None if name is None else str(name)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders among the paths and directly inside them, each once, in order.

    Raises:
        BrokenRun: if a path is neither a run folder nor holds one.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            missing = "is not a folder" if path.exists() else "does not exist"
            raise BrokenRun(f"{path} {missing}")
        inside = [path] if _is_run(path) else sorted(filter(_is_run, path.iterdir()))
        if not inside:
            raise BrokenRun(
                f"{path} is not a run folder (it has no config.json) and holds none"
            )
        for folder in inside:
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def read_run(folder: Path) -> RunView:
    """Read one run folder; a live one is read as far as it has come.

    A half-written last line of an unfinished run is skipped. A round that was written
    twice, as after a run was stopped and resumed, counts as it was written last.

    Raises:
        BrokenRun: if a file is missing or broken, or a finished run has lost lines; the
            message names file and line.
    """
    if not _is_run(folder):
        raise BrokenRun(f"{folder} is not a run folder: it has no config.json")
    config = _read_json(folder / "config.json", CONFIG)
    _check_window(config, folder / "config.json")
    path = folder / "result.json"
    result = _read_json(path, RESULT) if path.exists() else None
    live = result is None
    records = _read_lines(folder / "rounds.jsonl", ROUND, live)
    rounds = {record.round: record for record in records}
    # A live run may write verdicts between the two reads, so those of unread rounds go.
    verdicts = {
        (verdict.round, verdict.client): verdict
        for verdict in _read_lines(folder / "verdicts.jsonl", VERDICT, live)
        if verdict.round in rounds
    }
    run = RunView(
        folder=folder,
        name=result.name if result else _provisional_name(config, folder),
        key=result.key if result else named(config.get("key")),
        config={name: value for name, value in config.items() if name != "key"},
        rounds=tuple(rounds[number] for number in sorted(rounds)),
        verdicts=tuple(verdicts[place] for place in sorted(verdicts)),
        result=result,
    )
    if result is not None:
        _check_whole(run, result)
    return run


def read_runs(folders: Sequence[Path]) -> tuple[list[RunView], list[str]]:
    """Run folders that can be read, and of every other what is wrong with it."""
    runs: list[RunView] = []
    broken: list[str] = []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except (BrokenRun, OSError) as error:
            broken.append(str(error))
    return runs, broken


def _check_window(config: Mapping[str, Any], path: Path) -> None:
    attackers = config.get("attackers")
    if not isinstance(attackers, Mapping):
        return
    for end in ("start", "stop"):
        value = attackers.get(end)
        if not isinstance(value, int | None):
            raise BrokenRun(f"{path}: attackers.{end} needs to be a round, got {value!r}")


def _check_whole(run: RunView, result: ResultView) -> None:
    """A finished run has every round, and a verdict on every client that was asked."""
    _check_count(run.folder / "rounds.jsonl", result.rounds, len(run.rounds), "rounds")
    asked = run.config.get("clients_per_round")
    for record in run.rounds:
        seen = run.by_round.get(record.round, ())
        # A round does not count clients that failed; a deployment asks as many as it likes.
        counted = record.clients + sum(verdict.failed for verdict in seen)
        needed = asked if isinstance(asked, int) else counted
        what = f"verdicts on round {record.round}"
        _check_count(run.folder / "verdicts.jsonl", needed, len(seen), what)


def _check_count(path: Path, needed: int, got: int, what: str) -> None:
    if got != needed:
        raise BrokenRun(f"{path} needs {needed} {what}, got {got}")


def _provisional_name(config: Mapping[str, Any], folder: Path) -> str:
    return named(config.get("defense")) or folder.resolve().name


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _read_json(path: Path, parse: Parse[T]) -> T:
    return _checked(path.read_bytes(), parse, str(path))


def _read_lines(path: Path, parse: Parse[T], live: bool) -> list[T]:
    """One record a line; of a live run the last line may be half-written."""
    if not path.exists():
        if live:
            return []
        raise BrokenRun(f"{path} is missing, though the run is finished")
    lines = path.read_bytes().split(b"\n")
    tail = lines.pop()
    records = [
        _checked(line, parse, f"{path}, line {number}")
        for number, line in enumerate(lines, start=1)
    ]
    if tail and not live:
        records.append(_checked(tail, parse, f"{path}, line {len(lines) + 1}"))
    return records


def _checked(text: bytes, parse: Parse[T], where: str) -> T:
    try:
        return parse(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BrokenRun(f"{where}: {f'{place}: ' if place else ''}{first['msg']}") from None
