"""The grids that have a name: the paper's Table I and Fig. 3, and two of our own.

Chen et al., *Fedward*, ICME 2023, section V. All are declared here and run nowhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from fedward.attacks import ATTACK_PRESETS, ATTACKS
from fedward.bench.grid import NOBODY, Grid, make_grid, unique, with_twins
from fedward.bench.paper import METHODS, PDRS
from fedward.defenses import DEFENSES, Fedward
from fedward.settings import lookup
from fedward.simulation.assign import assigned
from fedward.simulation.config import RunConfig
from fedward.simulation.presets import PRESETS

PAPER: Mapping[str, RunConfig] = MappingProxyType(
    {
        "mnist": PRESETS["paper-mnist"].config,
        "fashion-mnist": PRESETS["paper-fashion"].config,
        "cifar10": PRESETS["paper-cifar10"].config,
    }
)
"""The paper's protocol by data set."""

FIRST = ("25", "iid", "50", "75")
"""Non-IID rates, the most telling first: 25 is the least alike."""

SHARES = tuple(f"{pdr:g}" for pdr in sorted(PDRS, reverse=True))
"""Poisoned shares in percent, the strongest first."""

CLUSTERING = ("fedcc", "flame", "fedward")
"""The methods of Fig. 3: those that select clients."""


PARTS = ("cluster=dbscan", "cluster=hdbscan", "cluster=none", "amgrad=off", "clip=none")
"""Fedward with another clustering, or with one of its parts switched off."""


VARIED = ("dataset", "seed", "defense")
"""What every named grid varies, so that no setting can say it for all cells."""

PLACES = (*VARIED, "partition.alpha", "attack.pdr", "attack.base.pdr")
"""What the grids with the paper's places vary."""


@dataclass(frozen=True)
class Wishes:
    """What a user may ask of a named grid.

    Attributes:
        extra: defences beside the grid's own.
        seeds: each gives the whole grid once more.
        preset: name of a configuration in place of the grid's own.
        sets: settings of every cell, as ``path=value``.
    """

    extra: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    preset: str | None = None
    sets: Sequence[str] = ()

    def bases(
        self, own: Mapping[str, RunConfig], varied: Sequence[str] = VARIED
    ) -> dict[str, RunConfig]:
        """What all cells of a data set have in common, instead of the grid's own.

        Args:
            varied: settings that the grid has values of its own for.

        Raises:
            UnknownName: for a preset or a setting that does not exist.
            ValueError: for a text that is not ``path=value``, or sets what the grid varies.
        """
        for text in self.sets:
            path = text.partition("=")[0]
            for setting in varied:
                if f"{path}.".startswith(f"{setting}."):
                    raise ValueError(
                        f"--set {text}: the grid has values of its own for {setting}; "
                        "choose with --only, --seeds and --with, or write your own grid"
                    )
        if self.preset is not None:
            own = {"": lookup("preset", self.preset, PRESETS).config}
        changed = [assigned(base, self.sets) for base in own.values()]
        return {base.dataset: base for base in changed}


def table1(wishes: Wishes = Wishes()) -> Grid:
    """Table I: three data sets, four splits, three poisoned shares, six methods."""
    title = "Table I of the paper: MA and AASR"
    return _paper("table1", title, tuple(METHODS.values()), wishes)


def figure3(wishes: Wishes = Wishes()) -> Grid:
    """Fig. 3: the escape rates of the methods that select, over the places of Table I."""
    return _paper("figure3", "Fig. 3 of the paper: AER", CLUSTERING, wishes)


def ablation(wishes: Wishes = Wishes()) -> Grid:
    """Fedward with one option changed or one part switched off, against one attack."""
    own = {name: PAPER[name] for name in ("mnist", "fashion-mnist")}
    bases = wishes.bases(own, PLACES if wishes.preset is None else VARIED)
    methods = ["fedward", *variants(), "fedward-authors", "fedavg"]
    axes: dict[str, Sequence[Any]] = {
        "seed": wishes.seeds,
        "defense": _merged(methods, wishes.extra),
    }
    if wishes.preset is None:
        axes |= {"nir": FIRST[:1], "pdr": SHARES[:1]}
    return make_grid("ablation", "Fedward, part by part", bases, axes)


def attacks(wishes: Wishes = Wishes()) -> Grid:
    """Every attack, and nobody, against every defence, on the embedded digits.

    Explicit boosting has the objective that is its own: with its default it sends what
    model replacement sends.
    """
    own = {"mnist-small": PRESETS["matrix"].config}
    bases = wishes.bases(own, (*VARIED, "attack"))
    written = {"explicit-boosting": "explicit-boosting:objective=malicious"}
    names = [written.get(name, name) for name in (*ATTACKS, *ATTACK_PRESETS)]
    parts = [f"fedward:{part}" for part in PARTS]
    axes: dict[str, Sequence[Any]] = {
        "seed": wishes.seeds,
        "attack": [NOBODY, *names],
        "defense": _merged(["fedavg", *DEFENSES, *parts], wishes.extra),
    }
    return make_grid("attacks", "Every attack against every defence", bases, axes)


GRIDS: Mapping[str, Callable[[Wishes], Grid]] = MappingProxyType(
    {"table1": table1, "figure3": figure3, "ablation": ablation, "attacks": attacks}
)


def variants() -> list[str]:
    """Fedward with every other value of every option, one at a time."""
    hints = get_type_hints(Fedward)
    return [
        f"fedward:{field.name}={value}"
        for field in fields(Fedward)
        for value in _choices(hints[field.name])
        if value != field.default
    ]


def _choices(hint: Any) -> Iterator[str]:
    """The values of a ``Literal``, or of a union of them."""
    for inner in get_args(hint):
        yield from [inner] if isinstance(inner, str) else _choices(inner)


def _paper(name: str, title: str, methods: Sequence[str], wishes: Wishes) -> Grid:
    axes: dict[str, Sequence[Any]] = {
        "nir": FIRST,
        "pdr": SHARES,
        "defense": _merged(methods, wishes.extra),
        "seed": wishes.seeds,
    }
    grid = make_grid(name, title, wishes.bases(PAPER, PLACES), axes, clean=False)
    ordered = sorted(grid.cells, key=lambda cell: urgency(cell.at))
    return Grid(name, title, unique(with_twins(iter(ordered))))


def urgency(at: Mapping[str, str]) -> tuple[int, int, int]:
    """Seed, then how soon a place of the paper's grid is wanted, then its split.

    The grey data sets where the splits are least alike and the attack is strongest; the
    rest of them; CIFAR-10 where the splits are least alike; everything else.
    """
    split = FIRST.index(at["nir"])
    if at["dataset"] == "cifar10":
        stage = 3 if split else 2
    else:
        stage = 1 if split or at["pdr"] != SHARES[0] else 0
    return int(at["seed"]), stage, split


def _merged(methods: Sequence[str] | Mapping[str, Any], extra: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*methods, *extra]))
