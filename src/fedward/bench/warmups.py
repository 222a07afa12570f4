"""Rounds that several cells have in common, trained once.

Before the first round that is attacked or defended, a run does not depend on who will
attack and what will defend: those rounds are the *warm-up*. Of a run in which nobody ever
attacks every round is, and the poisoned share and all else that attackers would do do not
matter, only the trigger that is measured.

A warm-up is kept beside the runs, as a folder with the lines and the checkpoint of its
last round, under a hash of everything that decides its bits. It is copied to the start of a
run, which then resumes as if it had trained those rounds itself, with the seconds that they
took.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from fedward.data.images import Dataset
from fedward.engine import Engine, Together
from fedward.simulation.checkpoint import CheckpointError, read_checkpoint, to_bytes
from fedward.simulation.config import RunConfig, is_clean, to_table
from fedward.simulation.folder import RunFolder, replace_file
from fedward.simulation.measure import stamped_probes
from fedward.simulation.provenance import provenance, trainer
from fedward.simulation.records import RoundRecord
from fedward.simulation.runner import Start, Watch, engine_name, folder_of, run

SHARED = ("dataset", "model", "partition", "clients", "clients_per_round", "training",
          "measuring", "seed")  # fmt: skip
"""Settings that decide every round, also before anybody attacks."""


@dataclass(frozen=True)
class Warmup:
    """The first rounds of a run, up to and without round ``until``."""

    until: int
    key: str

    def folder(self, runs: Path, engine: str) -> RunFolder:
        """Where it is kept."""
        return RunFolder(runs / ".warmups" / self.key, engine)


def warmups(config: RunConfig, data: Dataset, engine: str) -> tuple[Warmup, ...]:
    """The warm-ups that a run begins with, the longest first; none if there is none."""
    decided = common(config, data, engine)
    found = []
    if is_clean(config):
        table = to_table(config)
        whole = {name: table[name] for name in ("rounds", "defense")}
        whole["first_defended"] = config.first_defended
        found.append(Warmup(config.rounds, digest({**decided, **whole})))
    start = config.rounds if is_clean(config) else config.attackers.start
    until = min(start, config.first_defended)
    if 0 < until < config.rounds:
        found.append(Warmup(until, digest({**decided, "until": until})))
    return tuple(found)


def common(config: RunConfig, data: Dataset, engine: str) -> dict[str, Any]:
    """Everything that decides the records and the state of rounds without attack."""
    table = to_table(config)
    fixed = config.attackers.choice == "fixed"
    # Any card of a kind will do.
    device = str(data.train.pixels.device)
    made_by = provenance(device, engine)
    made_by["device"] = re.sub(r"^cuda:\d+", "cuda", made_by["device"])
    names = ("fedward", "commit", "torch", "device", "threads", "engine")
    return {
        **{name: table[name] for name in SHARED},
        "always": config.attackers.count if fixed else 0,
        "probes": probes_hash(config, data),
        "capability": torch.backends.cpu.get_cpu_capability(),
        **{name: made_by[name] for name in names},
        "trainer": trainer(engine, device),
    }


def probes_hash(config: RunConfig, data: Dataset) -> str:
    """SHA-256 of what is measured: names, stamped images and wanted answers."""
    hashed = hashlib.sha256()
    for probe in stamped_probes(config.attack, data.test, len(data.classes)):
        for part in (probe.pixels(data.test), probe.targets):
            hashed.update(repr((probe.name, tuple(part.shape))).encode())
            hashed.update(part.cpu().contiguous().numpy().tobytes())
    return hashed.hexdigest()


def digest(decided: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits."""
    text = json.dumps(decided, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_warmed(
    config: RunConfig,
    data: Dataset,
    engine: Engine,
    runs: Path,
    watch: Watch = lambda record: None,
    command: str | None = None,
) -> dict[str, Any]:
    """`runner.run`, resumed, that begins with a kept warm-up and keeps its own.

    Of several runs with the same warm-up that start together one trains it and the others
    wait. What a run has done already is never touched.
    """
    name, device = engine_name(engine), str(data.train.pixels.device)
    folder = replace(folder_of(config, runs), engine=trainer(name, device))
    known = warmups(config, data, name)
    with ExitStack() as turn:
        if not (folder.result.exists() or folder.checkpoint.exists()):
            begin(config, folder, known, turn, engine)

        everybody = True

        def seen(record: RoundRecord) -> None:
            nonlocal everybody
            # A client whose training failed may have been left out by whoever began this.
            everybody = everybody and len(record.judged) == len(record.clients)
            for warmup in known:
                if record.round == warmup.until - 1:
                    if everybody:
                        keep(config, folder, warmup)
                    turn.close()
            watch(record)

        return run(config, data, engine, runs, Start(resume=True), seen, command)


def begin(
    config: RunConfig,
    folder: RunFolder,
    known: tuple[Warmup, ...],
    turn: ExitStack,
    engine: Engine,
) -> None:
    """Copy the longest warm-up that is kept, or take the turn to train the shortest."""
    if any(copy(config, folder, warmup) for warmup in known):
        return
    if known and known[-1].until < config.rounds:
        place = known[-1].folder(folder.path.parent, folder.engine).path
        place.parent.mkdir(parents=True, exist_ok=True)
        with engine.aside() if isinstance(engine, Together) else nullcontext():
            turn.enter_context(FileLock(place.with_suffix(".lock")))
        if copy(config, folder, known[-1]):  # it was trained while we waited
            turn.close()


def copy(config: RunConfig, folder: RunFolder, warmup: Warmup) -> bool:
    """Begin a run with a warm-up, unless it has begun; whether there was one."""
    kept = warmup.folder(folder.path.parent, folder.engine)
    if not kept.checkpoint.exists():
        return False
    try:
        state, sizes = read_checkpoint(kept.checkpoint, warmup.key, folder.engine)
    except CheckpointError:
        shutil.rmtree(kept.path, ignore_errors=True)
        return False
    with folder.locked():
        if folder.result.exists() or folder.checkpoint.exists():
            return True  # another command began it while we waited for the warm-up
        folder.begin(config)
        for path in (folder.verdicts, folder.rounds):
            replace_file(path, (kept.path / path.name).read_bytes())
        replace_file(folder.checkpoint, to_bytes(config.key, folder.engine, state, sizes))
    return True


def keep(config: RunConfig, folder: RunFolder, warmup: Warmup) -> None:
    """Keep the warm-up of a run that has just trained it, unless it is kept already."""
    kept = warmup.folder(folder.path.parent, folder.engine)
    state, sizes = read_checkpoint(folder.checkpoint, config.key, folder.engine)
    if kept.checkpoint.exists() or state.next_round != warmup.until:
        return
    kept.path.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=kept.path.parent, prefix=f".{warmup.key}."))
    for path in (folder.verdicts, folder.rounds):
        replace_file(made / path.name, path.read_bytes()[: sizes[path.stem]])
    content = to_bytes(warmup.key, folder.engine, state, sizes)
    replace_file(made / kept.checkpoint.name, content)
    try:
        made.rename(kept.path)
    except OSError:  # another was quicker
        shutil.rmtree(made)
