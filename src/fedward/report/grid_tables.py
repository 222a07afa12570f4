"""The tables of a grid's page: every cell as text, with a tone that colours it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fedward.bench.grid import NOBODY
from fedward.report.grid_cells import Entry
from fedward.report.grid_sheets import Block, Line, Matrix, Sheet, Strike, split_text
from fedward.report.intervals import Interval
from fedward.report.palette import DASH

NEAR = {"aasr": 0.05, "ma": 0.02}
"""How far from the paper a share may be before somebody should look why."""

SHOWN = 0.10
"""What an attack has to achieve against the plain mean before a defence can claim it."""

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Shown:
    """One cell as the page shows it.

    Attributes:
        tone: class that colours it: ``near``, ``better-1`` to ``worse-3``, ``missing``,
            ``weak``, ``strong``, or none. The text says the same.
        key: of the run behind it, for a link.
        best: whether no other method has a better one.
    """

    text: str
    notes: tuple[str, ...] = ()
    tone: str = ""
    key: str | None = None
    best: bool = False


@dataclass(frozen=True)
class ShownLine:
    """A row: its heading, its cells, and what there is to say of all of them."""

    heading: str
    cells: tuple[Shown, ...]
    note: str = ""


@dataclass(frozen=True)
class ShownBlock:
    """Rows under a heading of their own, if they have one."""

    heading: str | None
    lines: tuple[ShownLine, ...]


@dataclass(frozen=True)
class ShownTable:
    """A table with two levels of columns: a group and what it is split into."""

    corner: str
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    blocks: tuple[ShownBlock, ...]


Show = Callable[[Entry, bool], Shown]
NOT_PLANNED = Shown("")


def points(share: float) -> str:
    """A share as percentage points without a unit, such as ``2.02``."""
    return f"{100 * share:.2f}".replace("-", MINUS)


def signed(share: float) -> str:
    """The same with its sign, such as ``+1.10``."""
    return f"{100 * share:+.2f}".replace("-", MINUS)


def spread(made: Interval | None) -> str:
    """``2.02 ± 0.41``, without an interval for one seed, a dash where undefined."""
    if made is None:
        return DASH
    return points(made.mean) + ("" if made.half is None else f" ± {points(made.half)}")


def counted(entry: Entry) -> str:
    """How many seeds a number rests on, and of how many planned."""
    done, planned = len(entry.measured), len(entry.samples)
    return f"n = {done}" if done == planned else f"n = {done} of {planned}"


def tone(key: str, off: float | None) -> str:
    """How far a share is from the paper's, and in whose favour.

    Args:
        key: ``ma``, of which more is better, or ``aasr``, of which less is.
        off: ours minus the paper's; None where one is missing.
    """
    if off is None:
        return ""
    far = abs(off) / NEAR[key]
    if far <= 1:
        return "near"
    better = (off < 0) == (key == "aasr")
    return f"{'better' if better else 'worse'}-{1 + (far > 3) + (far > 8)}"


def compared(entry: Entry, key: str) -> tuple[str, tuple[str, ...]]:
    """Tone and note of a share beside the paper's; no tone off the paper's protocol."""
    if entry.published is None:
        return "", ()
    theirs = float(getattr(entry.published, key))
    off = entry.off(key)
    if off is None:
        return "", (f"paper {points(theirs)}",)
    mark = "" if abs(off) <= NEAR[key] else " ▲" if off > 0 else " ▼"
    note = f"paper {points(theirs)}, {signed(off)}{mark}"
    if entry.deviations:
        return "apart", (f"{note} †",)
    return tone(key, off), (note,)


def main_table(sheet: Sheet) -> ShownTable:
    """AASR and MA of every method and split, beside the paper's."""
    return _table(sheet, ("AASR", "MA"), (_aasr, _ma))


def errors_table(sheet: Sheet) -> ShownTable | None:
    """AER and BRR of the methods that select; None if there is none."""
    blocks = tuple(
        Block(block.pdr, tuple(line for line in block.lines if _selects(line)))
        for block in sheet.blocks
    )
    kept = replace(sheet, blocks=tuple(block for block in blocks if block.lines))
    return _table(kept, ("AER", "BRR"), (_aer, _brr)) if kept.blocks else None


def _selects(line: Line) -> bool:
    return any(cell is not None and cell.selects for cell in line.cells)


def _table(sheet: Sheet, columns: Sequence[str], shows: Sequence[Show]) -> ShownTable:
    blocks = []
    for block in sheet.blocks:
        best = [best_of(block, place) for place in range(len(sheet.nirs))]
        lines = tuple(
            ShownLine(line.method, tuple(_cells(line, best, shows))) for line in block.lines
        )
        heading = None if block.pdr is None else f"PDR {block.pdr} %"
        blocks.append(ShownBlock(heading, lines))
    groups = tuple(split_text(nir) for nir in sheet.nirs)
    return ShownTable("Method", groups, tuple(columns), tuple(blocks))


def _cells(line: Line, best: Sequence[Entry | None], shows: Sequence[Show]) -> list[Shown]:
    cells: list[Shown] = []
    for entry, winner in zip(line.cells, best, strict=True):
        if entry is None:
            cells += [NOT_PLANNED] * len(shows)
        elif not entry.measured:
            cells += [_missing(entry, show) for show in shows]
        else:
            key = next(s.cell.key for s in entry.measured)
            cells += [replace(show(entry, entry is winner), key=key) for show in shows]
    return cells


def _missing(entry: Entry, show: Show) -> Shown:
    """What the paper says stays beside what we lack."""
    notes = tuple(note for note in show(entry, False).notes if note.startswith("paper"))
    return Shown("missing", notes, "missing")


def best_of(block: Block, place: int) -> Entry | None:
    """The attacked cell of a split with the lowest mean AASR, if several have one."""
    found = [
        (made.mean, number, cell)
        for number, line in enumerate(block.lines)
        if (cell := line.cells[place]) is not None
        and not cell.clean
        and (made := cell.share("aasr")) is not None
    ]
    return min(found)[2] if len(found) > 1 else None


def _aasr(entry: Entry, best: bool) -> Shown:
    shade, notes = compared(entry, "aasr")
    about = [counted(entry)]
    if not entry.clean:
        low = entry.floor
        about.insert(0, f"floor {DASH if low is None else points(low.mean)}")
    elif entry.at["defense"] == "fedavg":
        about.insert(0, "the floor")
    notes = (*notes, ", ".join(about))
    return Shown(spread(entry.share("aasr")), notes, shade, best=best)


def _ma(entry: Entry, best: bool) -> Shown:
    shade, notes = compared(entry, "ma")
    return Shown(spread(entry.share("ma_final")), notes, shade)


def _aer(entry: Entry, best: bool) -> Shown:
    stated = entry.stated
    if stated is None:
        return Shown(spread(entry.share("aer")))
    note = f"paper's text {'about ' if stated.about else ''}{points(stated.aer)}"
    return Shown(spread(entry.share("aer")), (note,))


def _brr(entry: Entry, best: bool) -> Shown:
    return Shown(spread(entry.share("brr")))


def matrix_table(matrix: Matrix) -> ShownTable:
    """Attack by defence: what the attack achieved above the floor, and at what cost."""
    lines = []
    if any(cell is not None for cell in matrix.quiet):
        quiet = tuple(_quiet(cell) for cell in matrix.quiet)
        lines.append(ShownLine("nobody attacks", (Shown(""), *quiet)))
    for strike in matrix.strikes:
        why = not_shown(strike)
        cells = (_strength(strike), *(_struck(cell, why is None) for cell in strike.cells))
        lines.append(ShownLine(strike.attack, cells, why or ""))
    groups = ("Strength", *matrix.methods)
    return ShownTable("Attack", groups, (), (ShownBlock(None, tuple(lines)),))


def not_shown(strike: Strike) -> str | None:
    """Why a defence can claim nothing against this attack; None if it can."""
    if strike.undefended is None:
        return "not run against FedAvg"
    made = strike.undefended.over_seeds(lambda sample: sample.harm)
    if made is None:
        return _unmeasured(strike.undefended)
    if made.mean < SHOWN:
        return f"achieves {signed(made.mean)} against FedAvg"
    return None


def _unmeasured(entry: Entry) -> str:
    """Why it is not known what an attack achieves against the plain mean."""
    if not entry.measured:
        return "missing against FedAvg"
    if entry.stops_early and entry.share("aasr") is not None:
        return "stops before the run does, so it has no floor"
    if all(sample.twin is None for sample in entry.measured):
        return "its clean twin is missing"
    return "not measured against FedAvg"


def _strength(strike: Strike) -> Shown:
    """What the attack achieves against the plain mean, from which all else is judged."""
    plain = strike.undefended
    made = None if plain is None else plain.over_seeds(lambda sample: sample.harm)
    if made is None:
        return Shown(DASH, (), "weak")
    strong = made.mean >= SHOWN
    return Shown(
        spread(made), ("shown" if strong else "not shown",), "strong" if strong else "weak"
    )


def _struck(entry: Entry | None, shown: bool) -> Shown:
    if entry is None:
        return NOT_PLANNED
    if not entry.measured:
        return Shown("missing", (), "missing")
    made = entry.over_seeds(lambda sample: sample.harm)
    text = DASH if made is None else signed(made.mean)
    if made is not None and made.half is not None:
        text += f" ± {points(made.half)}"
    notes = [f"AASR {spread(entry.share('aasr'))}"] if entry.share("aasr") else []
    if entry.selects:
        notes.append(f"AER {spread(entry.share('aer'))}")
        notes.append(f"BRR {spread(entry.share('brr'))}")
    notes += [f"MA {spread(entry.share('ma_final'))}", counted(entry)]
    shade = "weak"
    if shown:
        shade = "" if made is None else "broken" if made.mean >= SHOWN else "held"
    key = entry.measured[0].cell.key
    return Shown(text, tuple(notes), shade, key)


def _quiet(entry: Entry | None) -> Shown:
    """What the defence costs when nobody attacks."""
    if entry is None:
        return NOT_PLANNED
    if not entry.measured:
        return Shown("missing", (), "missing")
    notes = [f"BRR {spread(entry.share('brr'))}"] if entry.selects else []
    key = entry.measured[0].cell.key
    text = f"MA {spread(entry.share('ma_final'))}"
    return Shown(text, (*notes, counted(entry)), key=key)


def place_text(entry: Entry) -> str:
    """Where a cell stands, in words."""
    at = dict(entry.at)
    parts = [at.pop("dataset"), split_text(at.pop("nir"))]
    pdr, attack, defense = at.pop("pdr", None), at.pop("attack"), at.pop("defense")
    parts += [f"PDR {pdr} %"] if pdr is not None else []
    parts.append("nobody attacks" if attack == NOBODY else attack)
    return ", ".join([*parts, defense, *(f"{axis} {value}" for axis, value in at.items())])
