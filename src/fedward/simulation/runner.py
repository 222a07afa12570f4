"""A run from its settings to its folder, however often it is interrupted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedward.data.images import Dataset
from fedward.engine import ENGINES, Together
from fedward.engine.precision import exact_float32
from fedward.engine.seam import Engine
from fedward.simulation.checkpoint import params_hash
from fedward.simulation.config import RunConfig, label, to_table
from fedward.simulation.failures import OnFailure
from fedward.simulation.federation import Federation, federation, first_state
from fedward.simulation.folder import RunFolder, read_lines
from fedward.simulation.metrics import summary
from fedward.simulation.provenance import provenance, trainer
from fedward.simulation.records import RoundRecord
from fedward.simulation.rounds import simulate


class RunUnfinished(RuntimeError):
    """The folder holds a run that somebody began and did not finish."""


@dataclass(frozen=True)
class Start:
    """What to do with a run that was begun before: refuse, go on, or begin anew."""

    resume: bool = False
    anew: bool = False


Watch = Callable[[RoundRecord], None]


def folder_of(config: RunConfig, runs: Path) -> RunFolder:
    """Where a run lives: a readable name and its key."""
    return RunFolder(runs / f"{config.dataset}-{defense_name(config)}-{config.key}")


def defense_name(config: RunConfig) -> str:
    """The defence's name in the register."""
    return str(to_table(config)["defense"]["name"])


def run(
    config: RunConfig,
    data: Dataset,
    engine: Engine,
    runs: Path,
    start: Start = Start(),
    watch: Watch = lambda record: None,
    command: str | None = None,
    on_failure: OnFailure = "stop",
) -> dict[str, Any]:
    """The result of a run; a finished one is read, not run again.

    Args:
        watch: called with every round, those of an earlier process first.
        command: what the user typed, for the record.
        on_failure: whether a client whose training raises ends the run, to be resumed, or
            is left out of its round.

    Raises:
        ClientFailed: naming a client whose training raised, if that ends the run.
        RunUnfinished: if rounds were finished before and ``start`` does not say what to do.
        RunLocked: if another process writes the folder.
    """
    name, device = engine_name(engine), str(data.train.pixels.device)
    folder = replace(folder_of(config, runs), engine=trainer(name, device))
    with folder.locked(), exact_float32():
        done = None if start.anew else folder.finished()
        if done is not None:
            return done
        fed = federation(config, data, engine, on_failure)
        earlier = None if start.anew else folder.resume(config)
        if earlier is not None and not start.resume:
            raise RunUnfinished(
                f"{folder.path} holds {len(earlier[1])} of {config.rounds} rounds; "
                "go on with --resume, or begin anew with --restart"
            )
        # A crash before the first checkpoint leaves the lines of one round at most.
        if earlier is None and not start.anew and len(read_lines(folder.rounds)) > 1:
            raise RunUnfinished(
                f"{folder.path} holds rounds but no checkpoint to go on from; begin anew "
                "with --restart, or without this folder"
            )
        if earlier is None:
            folder.begin(config)
            earlier = (first_state(fed), [])
        begun, records = earlier
        for record in records:
            watch(record)
        state = begun
        for state, record in simulate(fed, begun):
            folder.append(config, state, record)
            records.append(record)
            watch(record)
        made_by = provenance(device, name, command)
        sha256 = params_hash(state.params)
        return folder.finish(finished_result(fed, records, sha256, made_by))


def engine_name(engine: Engine) -> str:
    """Its name in the register, or that of its type.

    Runs that train together are trained by the engine that is shared, to the same bits.
    """
    kind = type(engine.within if isinstance(engine, Together) else engine)
    names = [name for name, made in ENGINES.items() if kind is made]
    return names[0] if names else kind.__name__


def finished_result(
    fed: Federation,
    records: list[RoundRecord],
    params_sha256: str,
    made_by: Mapping[str, Any],
) -> dict[str, Any]:
    """What ``result.json`` holds."""
    config = fed.config
    return {
        "key": config.key,
        "name": label(config),
        "config": to_table(config),
        "rounds": len(records),
        "metrics": summary(config, records, fed.rarity, config.defense.selects),
        "params_sha256": params_sha256,
        "seconds": round(sum(sum(r.seconds.values()) for r in records), 1),
        "provenance": dict(made_by),
    }
