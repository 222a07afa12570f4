"""The cells of a grid with what was measured in them, seeds of one cell together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fedward.bench.grid import NOBODY, Cell, Grid, defense_text, place
from fedward.bench.grids import PAPER
from fedward.bench.paper import (
    METHODS,
    NIRS,
    PDRS,
    Escape,
    Place,
    Published,
    escape,
    published,
)
from fedward.report.intervals import Interval, interval
from fedward.report.labels import flatten
from fedward.simulation.config import (
    RunConfig,
    clean_twin,
    from_table,
    is_clean,
    named_options,
    to_table,
)
from fedward.simulation.metrics import floor, stops_early

Result = Mapping[str, Any]
"""What a ``result.json`` holds."""


@dataclass(frozen=True)
class Sample:
    """A cell with one seed.

    Attributes:
        result: None while it is missing.
        twin: the result of its clean twin; None while that is missing.
    """

    cell: Cell
    result: Result | None
    twin: Result | None

    def share(self, key: str) -> float | None:
        """A metric; None where it is undefined or missing."""
        return _share(self.result, key)

    @property
    def floor(self) -> float | None:
        """The AASR of the clean twin, if it is over the same rounds; a twin has none."""
        config = self.cell.config
        twin = {"aasr": _share(self.twin, "aasr")}
        return None if is_clean(config) else floor(config, twin)

    @property
    def excess(self) -> float | None:
        """AASR above the floor."""
        aasr, floor = self.share("aasr"), self.floor
        return None if aasr is None or floor is None else aasr - floor

    @property
    def harm(self) -> float | None:
        """What an attack achieved: its excess, or accuracy lost if it has no target."""
        if is_clean(self.cell.config) or self.result is None:
            return None
        if self.share("aasr") is not None:
            return self.excess
        clean, own = _share(self.twin, "ma_last10"), self.share("ma_last10")
        return None if clean is None or own is None else clean - own


def _share(result: Result | None, key: str) -> float | None:
    value = None if result is None else result["metrics"].get(key)
    return None if value is None or isinstance(value, Mapping) else float(value)


@dataclass(frozen=True)
class Entry:
    """A cell of a grid over its seeds.

    Attributes:
        at: its place, without the seed.
        samples: one a seed, in order; some may be missing.
    """

    at: Mapping[str, str]
    samples: tuple[Sample, ...]

    @property
    def config(self) -> RunConfig:
        """The settings, with the first seed."""
        return self.samples[0].cell.config

    @property
    def clean(self) -> bool:
        """Whether nobody attacks in it."""
        return is_clean(self.config)

    @property
    def measured(self) -> tuple[Sample, ...]:
        """The finished samples."""
        return tuple(sample for sample in self.samples if sample.result is not None)

    def over_seeds(self, measure: Callable[[Sample], float | None]) -> Interval | None:
        """Mean and interval of what the finished samples have; None if none has it."""
        values = [measure(sample) for sample in self.measured]
        return interval([value for value in values if value is not None])

    def share(self, key: str) -> Interval | None:
        """A metric over seeds."""
        return self.over_seeds(lambda sample: sample.share(key))

    @property
    def floor(self) -> Interval | None:
        """The clean twins' AASR."""
        return self.over_seeds(lambda sample: sample.floor)

    @property
    def stops_early(self) -> bool:
        """Whether the attack stops before the run does, so that no twin is its floor."""
        return stops_early(self.config)

    @property
    def selects(self) -> bool:
        """Whether the defence accepts some clients and rejects others."""
        return bool(self.config.defense.selects)

    @cached_property
    def published(self) -> Published | None:
        """What the paper's Table I says of it."""
        where = paper_place(self.config)
        return None if where is None else published(where)

    @cached_property
    def stated(self) -> Escape | None:
        """What the paper's text says of its escape rate."""
        where = paper_place(self.config)
        return None if where is None else escape(where)

    @cached_property
    def deviations(self) -> tuple[str, ...]:
        """In what its settings are not the paper's protocol, where the paper has it."""
        return () if self.published is None else deviations(self.config)

    @property
    def variant(self) -> bool:
        """Whether its method is none of the paper's, or has options of its own."""
        name, changed = named_options(self.config)
        return bool(changed) or name not in METHODS.values()

    def off(self, key: str) -> float | None:
        """Ours minus the paper's ``ma`` or ``aasr``; None where one of them is missing."""
        ours = self.share({"ma": "ma_final"}.get(key, key))
        if ours is None or self.published is None:
            return None
        return ours.mean - float(getattr(self.published, key))


def entries(grid: Grid, results: Mapping[str, Result]) -> tuple[Entry, ...]:
    """Every cell of the grid, those that differ only in the seed together.

    Args:
        results: by key, also those of twins that the grid does not hold.
    """
    groups: dict[str, list[Sample]] = {}
    for cell in grid.cells:
        sample = Sample(
            cell, results.get(cell.key), results.get(clean_twin(cell.config).key)
        )
        groups.setdefault(replace(cell.config, seed=0).key, []).append(sample)
    return tuple(Entry(_place(group[0].cell), tuple(group)) for group in groups.values())


def _place(cell: Cell) -> dict[str, str]:
    at = {**cell.at, "attack": NOBODY} if is_clean(cell.config) else dict(cell.at)
    at.pop("seed", None)
    return at


def found_grid(results: Mapping[str, Result], title: str = "Results") -> Grid:
    """A grid of what there is, in the order of data set, split, poisoned share and method.

    Args:
        results: by key.
    """
    configs = (from_table(result["config"]) for result in results.values())
    cells = [Cell(config, place(config)) for config in configs]
    return Grid("results", title, tuple(sorted(cells, key=_order)))


def _order(cell: Cell) -> tuple[Any, ...]:
    at = cell.at
    method = at["defense"].partition(":")[0].removesuffix("-authors")
    return (
        _rank(at["dataset"], list(PAPER)),
        _rank(at["nir"], NIRS),
        float(at.get("pdr", 0)),
        at["attack"],
        not is_clean(cell.config),
        _rank(method, ("fedavg", *METHODS.values())),
        at["defense"],
        int(at["seed"]),
    )


def _rank(name: str, known: Sequence[str]) -> tuple[int, str]:
    """Known names in their order, then the others in the alphabet's."""
    return (known.index(name), "") if name in known else (len(known), name)


def paper_place(config: RunConfig) -> Place | None:
    """Where the paper's grid has these settings; None where it has no such cell."""
    table = to_table(config)
    at = place(config)
    if is_clean(config) or at["attack"] != "dba":
        return None
    if table["partition"]["name"] not in ("iid", "dirichlet-authors"):
        return None
    if at["nir"] not in NIRS or float(at["pdr"]) not in PDRS:
        return None
    return Place(at["dataset"], at["nir"], float(at["pdr"]), table["defense"]["name"])


def deviations(config: RunConfig) -> tuple[str, ...]:
    """Settings that are not the paper's, such as ``rounds 60, not 110``.

    The split, the poisoned share, the defence and the seed are a cell's own.
    """
    if config.dataset not in PAPER:
        return (f"dataset {config.dataset}",)
    paper = to_table(PAPER[config.dataset])
    own = to_table(config)
    for free in ("partition", "defense", "seed"):
        paper[free] = own[free]
    if own["attack"] is not None and "pdr" in own["attack"]:
        paper["attack"] = {**paper["attack"], "pdr": own["attack"]["pdr"]}
    wanted, got = dict(flatten(paper)), dict(flatten(own))
    return tuple(
        f"{name} {got.get(name, 'none')}, not {wanted.get(name, 'none')}"
        for name in dict.fromkeys([*wanted, *got])
        if got.get(name) != wanted.get(name)
    )


def method_text(entry: Entry) -> str:
    """The defence as tables name it, and whether nobody attacks."""
    name = entry.at.get("defense") or defense_text(entry.config)
    return f"{name}, nobody attacks" if entry.clean else name
