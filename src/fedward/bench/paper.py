"""What the paper published: Table I, and the escape rates that its section V.A states.

Chen et al., *Fedward: Flexible Federated Backdoor Defense Framework with Non-IID Data*,
ICME 2023, https://doi.org/10.1109/ICME55011.2023.00067. ``table1.csv`` beside this file is
Table I as printed, in percent and under the paper's names; here are shares in [0, 1] under
ours. Fig. 3 has bars and no numbers, so of the escape rates only those are known that the
text names.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from types import MappingProxyType

DATASETS: Mapping[str, str] = MappingProxyType(
    {"MNIST": "mnist", "FMNIST": "fashion-mnist", "CIFAR10": "cifar10"}
)
"""The paper's name of a data set to ours."""

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "Median": "median",
        "Trimmed-Mean": "trimmed-mean",
        "CRFL": "crfl",
        "FedCC": "fedcc",
        "FLAME": "flame",
        "Fedward": "fedward",
    }
)
"""The paper's name of a method to ours, in the order of Table I."""

VARIANTS: Mapping[str, str] = MappingProxyType(
    {f"{name}-authors": name for name in ("crfl", "fedcc", "flame", "fedward")}
)
"""What the authors' public code runs under a method's name, to the method in the paper.

Which of the two made Table I is not known, so both are compared with the same numbers.
"""

NIRS = ("iid", "25", "50", "75")
"""Non-IID rates in percent, as Dirichlet concentrations: 25 is the least alike."""

PDRS = (15.625, 31.25, 46.875)
"""Poisoned data rates in percent."""


@dataclass(frozen=True, order=True)
class Place:
    """One cell of the paper's grid, under our names.

    Attributes:
        nir: one of `NIRS`.
        pdr: one of `PDRS`.
        method: name of a defence; `VARIANTS` stand where their method does.
    """

    dataset: str
    nir: str
    pdr: float
    method: str


@dataclass(frozen=True)
class Published:
    """A cell of Table I; shares in [0, 1]."""

    ma: float
    aasr: float


@dataclass(frozen=True)
class Escape:
    """An attack escape rate that the text of section V.A states.

    Attributes:
        aer: share in [0, 1].
        about: whether the text gives it as approximate.
        places: the cells that it is said of.
    """

    aer: float
    about: bool
    places: frozenset[Place]


@cache
def table1() -> Mapping[Place, Published]:
    """Table I, all 216 cells."""
    return MappingProxyType(dict(_rows()))


def _rows() -> Iterator[tuple[Place, Published]]:
    text = (files("fedward.bench") / "table1.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        place = Place(
            dataset=DATASETS[row["dataset"]],
            nir=row["nir"].lower(),
            pdr=float(row["pdr"]),
            method=METHODS[row["method"]],
        )
        yield place, Published(ma=_share(row["ma"]), aasr=_share(row["aasr"]))


def _share(percent: str) -> float:
    # Through text, so that 97.65 is the float nearest to 0.9765.
    return float(f"{percent}e-2")


def _cells(
    method: str,
    datasets: tuple[str, ...] = tuple(DATASETS.values()),
    nirs: tuple[str, ...] = NIRS,
    pdrs: tuple[float, ...] = PDRS,
) -> frozenset[Place]:
    return frozenset(Place(*axes, method) for axes in product(datasets, nirs, pdrs))


ESCAPES: tuple[Escape, ...] = (
    Escape(0.0, False, _cells("fedward", ("mnist",))),
    Escape(0.1424, False, _cells("fedward", ("fashion-mnist",), ("25",), (31.25,))),
    Escape(0.0464, False, _cells("fedward", ("cifar10",), ("25",), (31.25,))),
    Escape(0.345, True, _cells("flame", ("fashion-mnist",), ("50",), (15.625,))),
    Escape(0.2392, False, _cells("flame", ("cifar10",), ("25",), (46.875,))),
    Escape(0.76, True, _cells("fedcc", nirs=NIRS[1:])),
)
"""In the order of the text. Of FedCC it says where it is worst, not of which cells."""


def published(place: Place) -> Published | None:
    """What Table I says of a place; None where the paper has no such cell."""
    return table1().get(_in_the_paper(place))


def escape(place: Place) -> Escape | None:
    """What the text says of a place's escape rate; None where it says nothing."""
    known = _in_the_paper(place)
    return next((stated for stated in ESCAPES if known in stated.places), None)


def _in_the_paper(place: Place) -> Place:
    method = VARIANTS.get(place.method, place.method)
    return Place(place.dataset, place.nir, place.pdr, method)
