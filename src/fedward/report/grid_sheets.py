"""How a grid falls into sheets: one for each data set, attack and set of other settings.

A grid with several attacks on one federation is a matrix of attacks and defences instead.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from fedward.bench.grid import place
from fedward.bench.paper import NIRS
from fedward.report.grid_cells import Entry, method_text
from fedward.report.labels import flatten
from fedward.simulation.config import clean_twin, to_table

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

PUBLISHED_NAMES = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """A method over the splits; None where the grid has no such cell."""

    method: str
    cells: tuple[Entry | None, ...]


@dataclass(frozen=True)
class Block:
    """The methods at one poisoned share, in percent; None where nothing is poisoned."""

    pdr: str | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """A data set under an attack, as one of the three parts of the paper's Table I.

    Attributes:
        id: unlike that of any other sheet or matrix of the grid.
        nirs: splits, a column each.
    """

    id: str
    title: str
    nirs: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All its cells."""
        return tuple(
            cell
            for block in self.blocks
            for line in block.lines
            for cell in line.cells
            if cell is not None
        )


@dataclass(frozen=True)
class Strike:
    """An attack against every method of a matrix.

    Attributes:
        undefended: the same against the plain mean; None if the grid does not have it.
        cells: one a method; None where the grid has no such cell.
    """

    attack: str
    undefended: Entry | None
    cells: tuple[Entry | None, ...]


@dataclass(frozen=True)
class Matrix:
    """One federation under several attacks.

    Attributes:
        methods: a column each.
        quiet: the methods with nobody attacking.
        entries: all its cells, the clean twin of every attack among them.
    """

    id: str
    title: str
    methods: tuple[str, ...]
    quiet: tuple[Entry | None, ...]
    strikes: tuple[Strike, ...]
    entries: tuple[Entry, ...]


def lay_out(found: Sequence[Entry]) -> tuple[Sheet | Matrix, ...]:
    """Every cell on a sheet or in a matrix, in the grid's order."""
    pages: list[tuple[str, Settings, list[Entry]]] = []
    for federation, inside in _grouped(found, lambda entry: _settings(entry, False)):
        sheets = _grouped(inside, lambda entry: _settings(entry, True))
        if len(sheets) > 1:
            for _, members in _grouped(inside, _splits(inside)):
                pages.append(("matrix", federation, members))
        else:
            pages.extend(("sheet", settings, members) for settings, members in sheets)
    titles = _titles([(_title(kind, inside), own) for kind, own, inside in pages])
    return tuple(
        _matrix(f"grid-{number}", title, inside)
        if kind == "matrix"
        else _sheet(f"grid-{number}", title, inside)
        for number, ((kind, _, inside), title) in enumerate(zip(pages, titles, strict=True))
    )


def _grouped(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _settings(entry: Entry, attack: bool) -> Settings:
    """What cells of one sheet have in common, or with another attack those of one matrix.

    The clean twin stands for the cell: it has neither its defence nor its attack's end.
    """
    table = to_table(clean_twin(replace(entry.config, seed=0)))
    free = ("partition", "seed") if attack else ("partition", "seed", "attack")
    kept = {name: value for name, value in table.items() if name not in free}
    return tuple(
        (name, text)
        for name, text in flatten(kept)
        if not (name.startswith("attack.") and name.endswith("pdr"))
    )


def _own(entry: Entry, setting: str, free: str) -> Settings:
    """The options of one setting, without the one that an axis of its own names."""
    table = to_table(entry.config)[setting] or {}
    return tuple((n, text) for n, text in flatten(table) if n.split(".")[-1] != free)


def _splits(members: Sequence[Entry]) -> Callable[[Entry], str]:
    """The split, with how it is made where one rate is made in several ways."""
    return _told_apart(members, "nir", lambda entry: _own(entry, "partition", "alpha"))


def _titles(named: Sequence[tuple[str, Settings]]) -> list[str]:
    """The titles, and where two would be the same also what differs."""
    return [
        ", ".join(
            [title, *_telling(own, [other for same, other in named if same == title])]
        )
        for title, own in named
    ]


def _telling(own: Settings, alike: Sequence[Settings]) -> list[str]:
    """Up to three settings that not all of these have."""
    others = [dict(other) for other in alike]
    telling = (
        f"{name} {text}"
        for name, text in own
        if any(other.get(name) != text for other in others)
    )
    return list(islice(telling, 3))


def _told_apart(
    members: Sequence[Entry], axis: str, settings: Callable[[Entry], Settings]
) -> Callable[[Entry], str]:
    """The value of an axis, with what differs where several settings go by one value."""
    known = {
        value: list(dict.fromkeys(map(settings, inside)))
        for value, inside in _grouped(members, lambda entry: entry.at.get(axis, ""))
    }

    def name(entry: Entry) -> str:
        value = entry.at.get(axis, "")
        return ", ".join([value, *_telling(settings(entry), known[value])])

    return name


def _title(kind: str, members: Sequence[Entry]) -> str:
    at = members[0].at
    dataset = PUBLISHED_NAMES.get(at["dataset"], at["dataset"])
    if kind == "matrix":
        return f"{dataset}, {split_text(at['nir'])}"
    return f"{dataset}, attack {_attack(members)}"


def split_text(nir: str) -> str:
    """``NIR 25 %``, ``IID`` or another name, and how it is made where that is said."""
    rate, *made = nir.split(", ")
    if rate[:1].isdigit():
        rate = f"NIR {rate} %"
    return ", ".join(["IID" if rate.lower() == "iid" else rate, *made])


def _attack(members: Sequence[Entry]) -> str:
    """The attack of cells that share it; a clean cell only measures its trigger."""
    named = [entry.at["attack"] for entry in members if not entry.clean]
    return named[0] if named else place(members[0].config)["attack"]


def _sheet(id: str, title: str, members: Sequence[Entry]) -> Sheet:
    split = _splits(members)
    nirs = sorted(dict.fromkeys(map(split, members)), key=_rank)
    blocks = [
        Block(pdr or None, _lines(inside, nirs, split))
        for pdr, inside in _grouped(members, lambda entry: entry.at.get("pdr", ""))
    ]
    blocks.sort(key=lambda block: float(block.pdr or 0))
    return Sheet(id, title, tuple(nirs), tuple(blocks))


def _rank(nir: str) -> int:
    """The paper's splits in its order, then the others."""
    rate = nir.partition(",")[0]
    return (*NIRS, rate).index(rate)


def _lines(
    members: Sequence[Entry], nirs: Sequence[str], split: Callable[[Entry], str]
) -> tuple[Line, ...]:
    """Clean twins first, then the plain mean, then the methods as the grid has them."""
    lines = []
    for name, inside in _grouped(members, _method):
        at = {split(entry): entry for entry in inside}
        last = (not inside[0].clean, name != "fedavg")
        lines.append((last, Line(name, tuple(at.get(nir) for nir in nirs))))
    return tuple(line for _, line in sorted(lines, key=lambda pair: pair[0]))


def _method(entry: Entry) -> str:
    """The method with what the grid varies beside the axes that every grid has."""
    known = ("dataset", "nir", "pdr", "attack", "defense")
    other = [f"{axis} {value}" for axis, value in entry.at.items() if axis not in known]
    return ", ".join([method_text(entry), *other])


def _matrix(id: str, title: str, members: Sequence[Entry]) -> Matrix:
    attacked = [entry for entry in members if not entry.clean]
    methods = list(dict.fromkeys(entry.at["defense"] for entry in members))
    methods.sort(key=lambda method: method != "fedavg")
    quiet: dict[str, Entry] = {}
    for entry in members:
        if entry.clean:
            quiet.setdefault(entry.at["defense"], entry)
    strikes = []
    for attack, inside in _grouped(attacked, _strike_names(attacked)):
        own = {entry.at["defense"]: entry for entry in inside}
        cells = tuple(own.get(method) for method in methods)
        strikes.append(Strike(attack, own.get("fedavg"), cells))
    still = tuple(quiet.get(method) for method in methods)
    return Matrix(id, title, tuple(methods), still, tuple(strikes), tuple(members))


def _strike_names(attacked: Sequence[Entry]) -> Callable[[Entry], str]:
    """The attack, with what differs where several go by one name, and so the share."""
    attack = _told_apart(attacked, "attack", lambda entry: _own(entry, "attack", "pdr"))
    shares: dict[str, set[str]] = {}
    for entry in attacked:
        shares.setdefault(attack(entry), set()).add(entry.at.get("pdr", ""))

    def name(entry: Entry) -> str:
        text, pdr = attack(entry), entry.at.get("pdr", "")
        return f"{text}, PDR {pdr} %" if len(shares[text]) > 1 and pdr else text

    return name
