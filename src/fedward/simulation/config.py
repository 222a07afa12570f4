"""Everything that decides the result of a run, and nothing else.

Where data lie, which engine trains and on which device are not here: they change nothing
but rounding, and a run goes on with the engine that began it. The hash of the settings is
the run's key.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, InstanceOf
from pydantic.dataclasses import dataclass

from fedward.attacks import ATTACK_PRESETS, ATTACKS, Attack
from fedward.data.partition import PARTITIONS, DirichletAuthors
from fedward.data.sources import DATASETS
from fedward.defenses import DEFENSE_PRESETS, DEFENSES, FedAvg, Fedward
from fedward.engine.plan import LocalTraining
from fedward.models import MODELS
from fedward.settings import STRICT, UnknownName, as_table, build, lookup


def _named(
    kind: str, known: Mapping[str, type[Any]], presets: Mapping[str, Any], value: Any
) -> Any:
    """What `build` makes; the name may be a preset's, and options change the preset."""
    name = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(name, str) and name not in known:
        lookup(kind, name, {**known, **presets})
        options = value if isinstance(value, Mapping) else {}
        preset = as_table(kind, presets[name], known)
        value = {**preset, **options, "name": preset["name"]}
    return build(kind, value, known)


def _attack(value: Any) -> Attack | None:
    made = None if value is None else _named("attack", ATTACKS, ATTACK_PRESETS, value)
    return cast("Attack | None", made)


def _defense(value: Any) -> Any:
    return _named("defense", DEFENSES, DEFENSE_PRESETS, value)


def _known(kind: str, known: Mapping[str, Any], name: Any) -> Any:
    lookup(kind, name, known)
    return name


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Attackers:
    """Who attacks and when.

    Attributes:
        count: malicious clients; they are clients 0 to ``count - 1``.
        choice: ``fixed`` puts all of them among the selected in every round, as the paper
            does; ``sampled`` draws every round's clients from the whole pool by chance.
        start: first attacked round, from 0; before it they train honestly.
        stop: the round from which they train honestly again; None for never.
    """

    count: int = Field(default=4, ge=0)
    choice: Literal["fixed", "sampled"] = "fixed"
    start: int = Field(default=5, ge=0)
    stop: int | None = Field(default=None, ge=0)

    def active(self, round: int) -> bool:
        """Whether this round lies in the attack's window."""
        return round >= self.start and (self.stop is None or round < self.stop)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Measuring:
    """How often the global model is measured; the last round always is.

    Attributes:
        every: rounds between measurements of accuracy and of the whole trigger.
        parts_every: rounds between measurements of every part of the trigger.
    """

    every: int = Field(default=1, ge=1)
    parts_every: int = Field(default=10, ge=1)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunConfig:
    """One run. The defaults are the paper's protocol for MNIST at NIR 50 %.

    Attributes:
        clients: size of the pool.
        clients_per_round: how many train in a round.
        training: how an honest client trains.
        attack: None for a federation without attackers and without a trigger to measure.
        defend_from: first round that the defence decides; before it the mean is taken. None
            for the start of the attack.

    Raises:
        ValueError: if the parts do not fit together.
    """

    dataset: Annotated[str, BeforeValidator(partial(_known, "data set", DATASETS))] = (
        "mnist"
    )
    model: Annotated[str, BeforeValidator(partial(_known, "model", MODELS))] = "mnistnet"
    partition: Annotated[
        Any, BeforeValidator(partial(build, "partition", known=PARTITIONS))
    ] = DirichletAuthors(alpha=0.5)
    clients: int = Field(default=100, ge=1)
    clients_per_round: int = Field(default=10, ge=1)
    rounds: int = Field(default=110, ge=1)
    training: LocalTraining = LocalTraining()
    attack: Annotated[InstanceOf[Attack] | None, BeforeValidator(_attack)] = None
    attackers: Attackers = Attackers()
    defense: Annotated[Any, BeforeValidator(_defense)] = Fedward()
    defend_from: int | None = Field(default=None, ge=0)
    measuring: Measuring = Measuring()
    seed: int = Field(default=0, ge=0)

    def __post_init__(self) -> None:
        if self.clients_per_round > self.clients:
            raise ValueError(
                f"clients_per_round needs at most {self.clients} clients, "
                f"got {self.clients_per_round}"
            )
        most = (
            self.clients if self.attackers.choice == "sampled" else self.clients_per_round
        )
        if self.attackers.count > most:
            raise ValueError(
                f"{self.attackers.choice} attackers need a count of at most {most}, "
                f"got {self.attackers.count}"
            )

    @property
    def first_defended(self) -> int:
        """The first round that the defence decides."""
        return self.attackers.start if self.defend_from is None else self.defend_from

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that differ when the result may."""
        text = json.dumps(to_table(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


KNOWN: Mapping[str, Mapping[str, type[Any]]] = {
    "partition": PARTITIONS,
    "attack": ATTACKS,
    "defense": DEFENSES,
}
"""Settings that are chosen by name."""

PARTS: Mapping[str, type[Any]] = {
    "training": LocalTraining,
    "attackers": Attackers,
    "measuring": Measuring,
}
"""Settings that are tables of their own."""


def to_table(config: RunConfig) -> dict[str, Any]:
    """A configuration as plain values, ready for JSON or TOML."""
    table: dict[str, Any] = {}
    for name in (field.name for field in fields(config)):
        value = getattr(config, name)
        if name in KNOWN and value is not None:
            table[name] = as_table(name, value, KNOWN[name])
        else:
            table[name] = asdict(value) if name in PARTS else value
    return json.loads(json.dumps(table))  # type: ignore[no-any-return]


def from_table(table: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_table`; what is not given has its default.

    Raises:
        UnknownName: for a setting that does not exist, with the nearest that does.
        ValueError: for a value that a setting cannot have.
    """
    _check_names("setting", table, RunConfig)
    for part, made in PARTS.items():
        if isinstance(table.get(part), Mapping):
            _check_names(f"option of {part}:", table[part], made)
    config = RunConfig(**table)
    _refuse_truths(table, to_table(config) if _has_truths(table) else {})
    return config


def _has_truths(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_truths, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_truths, value))
    return isinstance(value, bool)


def _refuse_truths(given: Any, made: Any, path: str = "") -> None:
    """Python takes true for 1, and nobody who writes true means 1."""
    if isinstance(given, bool) and type(made) in (int, float):
        raise ValueError(f"{path} needs a number, got {str(given).lower()}")
    if isinstance(given, Mapping) and isinstance(made, Mapping):
        for name in given:
            _refuse_truths(given[name], made.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(given, list | tuple) and isinstance(made, list):
        for inner, value in zip(given, made, strict=False):
            _refuse_truths(inner, value, path)


def _check_names(kind: str, table: Mapping[str, Any], made: type[Any]) -> None:
    known = [field.name for field in fields(made)]
    for name in table:
        if name not in known:
            raise UnknownName(kind, name, known)


def label(config: RunConfig) -> str:
    """A short name for tables: the defence, and what differs from its defaults."""
    name, options = named_options(config)
    if options:
        name += f" ({', '.join(f'{option}={value}' for option, value in options.items())})"
    return f"{name}, nobody attacks" if is_clean(config) else name


def named_options(config: RunConfig) -> tuple[str, dict[str, Any]]:
    """The defence's name, and its options that differ from their defaults."""
    table = as_table("defense", config.defense, DEFENSES)
    defaults = as_table("defense", type(config.defense)(), DEFENSES)
    changed = {k: value for k, value in table.items() if value != defaults[k]}
    return str(table["name"]), changed


def is_clean(config: RunConfig) -> bool:
    """Whether nobody ever attacks."""
    stop = config.rounds if config.attackers.stop is None else config.attackers.stop
    window = min(stop, config.rounds) > config.attackers.start
    return config.attack is None or config.attackers.count == 0 or not window


def clean_twin(config: RunConfig) -> RunConfig:
    """The same federation with nobody attacking and nothing defended.

    It measures the same triggers, so its success rate is the floor under the others': how
    often a clean model gives the attacker's answer by mistake.
    """
    quiet = replace(config.attackers, stop=config.attackers.start)
    return replace(config, attackers=quiet, defense=FedAvg(), defend_from=None)
