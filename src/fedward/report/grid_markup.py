"""A grid's tables as LaTeX, ready for a paper, and as Markdown, for documents."""

from collections.abc import Sequence

from fedward.report.grid_cells import Entry
from fedward.report.grid_sheets import Matrix, Sheet, Strike, split_text
from fedward.report.grid_tables import best_of, not_shown, points, signed, spread
from fedward.report.intervals import Interval
from fedward.report.palette import DASH

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(character, character) for character in text)


def latex(pages: Sequence[Sheet | Matrix]) -> str:
    """A ``table*`` a sheet or matrix.

    The preamble needs ``booktabs``, and ``graphicx`` for a matrix.
    """
    tables = [
        _matrix_latex(page) if isinstance(page, Matrix) else _sheet_latex(page)
        for page in pages
    ]
    return "\n".join(["% \\usepackage{booktabs,graphicx}", *tables])


def _sheet_latex(sheet: Sheet) -> str:
    splits = len(sheet.nirs)
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_sheet_caption(sheet)}}}",
        rf"\label{{tab:{sheet.id}}}",
        rf"\begin{{tabular}}{{l{'rr' * splits}}}",
        r"\toprule",
        "Method"
        + "".join(
            rf" & \multicolumn{{2}}{{c}}{{{escaped(split_text(nir))}}}"
            for nir in sheet.nirs
        )
        + r" \\",
        "".join(rf"\cmidrule(lr){{{2 * n + 2}-{2 * n + 3}}}" for n in range(splits)),
        " & AASR & MA" * splits + r" \\",
    ]
    for block in sheet.blocks:
        lines.append(r"\midrule")
        if block.pdr is not None:
            heading = rf"\emph{{PDR {block.pdr}\,\%}}"
            lines.append(rf"\multicolumn{{{1 + 2 * splits}}}{{l}}{{{heading}}} \\")
        best = [best_of(block, place) for place in range(splits)]
        for line in block.lines:
            cells = [
                text
                for entry, winner in zip(line.cells, best, strict=True)
                for text in _pair(entry, entry is not None and entry is winner)
            ]
            lines.append(" & ".join([escaped(line.method), *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""]
    return "\n".join(lines)


def _pair(entry: Entry | None, best: bool) -> tuple[str, str]:
    if entry is None:
        return "", ""
    mark = r"\dagger" if entry.deviations else ""
    return (
        _number(entry.share("aasr"), best, mark),
        _number(entry.share("ma_final"), False, ""),
    )


def _number(made: Interval | None, best: bool, mark: str) -> str:
    if made is None:
        return "--"
    text = f"{100 * made.mean:.2f}"
    if made.half is not None:
        text += rf" \pm {100 * made.half:.2f}"
    text = rf"\mathbf{{{text}}}" if best else text
    return f"${text}^{{{mark}}}$" if mark else f"${text}$"


def _sheet_caption(sheet: Sheet) -> str:
    said = f"{escaped(sheet.title)}: AASR and MA in \\%, {_seeds(sheet.entries)}"
    said += "; bold is the lowest AASR of a split and poisoned share"
    if any(entry.deviations for entry in sheet.entries):
        said += r"; $\dagger$ not the paper's protocol"
    return said + "."


def _seeds(found: Sequence[Entry]) -> str:
    """On how many seeds the numbers rest."""
    counts = sorted({len(entry.measured) for entry in found if entry.measured})
    if not counts or counts == [1]:
        return "one seed"
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return rf"mean and 95\,\% t-interval over {span} seeds"


def _matrix_latex(matrix: Matrix) -> str:
    heads = "".join(rf" & \rotatebox{{90}}{{{escaped(name)}}}" for name in matrix.methods)
    lines = [
        r"\begin{table*}",
        r"\centering\scriptsize",
        rf"\caption{{{escaped(matrix.title)}: points above the floor; an attack in "
        r"parentheses was not shown to work against FedAvg.}",
        rf"\label{{tab:{matrix.id}}}",
        rf"\begin{{tabular}}{{l{'r' * len(matrix.methods)}}}",
        r"\toprule",
        rf"Attack{heads} \\",
        r"\midrule",
    ]
    for strike in matrix.strikes:
        name = escaped(strike.attack)
        cells = [_excess(cell).replace("\N{MINUS SIGN}", "$-$") for cell in strike.cells]
        shown = name if not_shown(strike) is None else f"({name})"
        lines.append(" & ".join([shown, *cells]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""]
    return "\n".join(lines).replace(DASH, "--")


def _excess(entry: Entry | None) -> str:
    made = None if entry is None else entry.over_seeds(lambda sample: sample.harm)
    return DASH if made is None else f"{100 * made.mean:.1f}".replace("-", "\N{MINUS SIGN}")


def markdown(pages: Sequence[Sheet | Matrix]) -> str:
    """A heading and a table a sheet or matrix; cells that are missing are counted."""
    return "\n".join(
        _matrix_markdown(page) if isinstance(page, Matrix) else _sheet_markdown(page)
        for page in pages
    )


COLUMNS = (
    "split", "PDR, %", "method", "n", "MA", "paper", "AASR", "paper", "floor", "AER", "BRR",
)  # fmt: skip


def _sheet_markdown(sheet: Sheet) -> str:
    rows = [
        _markdown_row(entry, block.pdr, line.method, nir)
        for place, nir in enumerate(sheet.nirs)
        for block in sheet.blocks
        for line in block.lines
        if (entry := line.cells[place]) is not None and entry.measured
    ]
    notes = [
        f"† {nir_pdr(entry)}: not the paper's protocol ({'; '.join(entry.deviations)})."
        for entry in sheet.entries
        if entry.deviations and entry.measured
    ]
    if any(entry.stops_early and entry.measured for entry in sheet.entries):
        notes.append(
            "An attack that stops before the run does has no floor: its clean twin's AASR "
            "is over other rounds."
        )
    return _markdown(sheet.title, COLUMNS, rows, [*_missing(sheet.entries), *notes])


def nir_pdr(entry: Entry) -> str:
    """The place of a cell on its sheet, in words."""
    pdr = entry.at.get("pdr")
    parts = [split_text(entry.at["nir"]), *([f"PDR {pdr} %"] if pdr else [])]
    return ", ".join([*parts, entry.at["defense"]])


def _markdown_row(entry: Entry, pdr: str | None, method: str, nir: str) -> list[str]:
    theirs = entry.published
    mark = " †" if entry.deviations else ""
    return [
        split_text(nir),
        pdr or "",
        method,
        str(len(entry.measured)),
        spread(entry.share("ma_final")),
        "" if theirs is None else f"{points(theirs.ma)}{mark}",
        spread(entry.share("aasr")),
        "" if theirs is None else f"{points(theirs.aasr)}{mark}",
        "" if entry.clean else spread(entry.floor),
        spread(entry.share("aer")),
        spread(entry.share("brr")),
    ]


FEW = 40
"""A matrix of at most so many cells is written out, a line a cell."""

LONG = (
    "attack",
    "shown against FedAvg",
    "method",
    "n",
    "MA",
    "AASR",
    "floor",
    "AER",
    "BRR",
)


def _matrix_markdown(matrix: Matrix) -> str:
    if len(matrix.strikes) * len(matrix.methods) <= FEW:
        heads: Sequence[str] = LONG
        quiet = [cell for cell in matrix.quiet if cell is not None and cell.measured]
        rows = [_long("nobody attacks", "", cell) for cell in quiet]
        rows += [
            _long(strike.attack, _verdict(strike), cell)
            for strike in matrix.strikes
            for cell in strike.cells
            if cell is not None and cell.measured
        ]
    else:
        heads = ("attack", "shown against FedAvg", *matrix.methods)
        rows = [
            [strike.attack, _verdict(strike), *map(_struck, strike.cells)]
            for strike in matrix.strikes
        ]
    return _markdown(matrix.title, heads, rows, _missing(matrix.entries))


def _long(attack: str, verdict: str, entry: Entry) -> list[str]:
    shares = [entry.share(key) for key in ("ma_final", "aasr")]
    shares += [entry.floor, entry.share("aer"), entry.share("brr")]
    return [
        attack,
        verdict,
        entry.at["defense"],
        str(len(entry.measured)),
        *map(spread, shares),
    ]


def _verdict(strike: Strike) -> str:
    why = not_shown(strike)
    return "yes" if why is None else f"no: {why}"


def _struck(entry: Entry | None) -> str:
    if entry is None:
        return ""
    if not entry.measured:
        return "missing"
    made = entry.over_seeds(lambda sample: sample.harm)
    return DASH if made is None else signed(made.mean)


def _missing(found: Sequence[Entry]) -> list[str]:
    samples = [sample for entry in found for sample in entry.samples]
    lacking = sum(sample.result is None for sample in samples)
    return [f"{lacking} of {len(samples)} cells are missing."] if lacking else []


def _markdown(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    lines = [f"**{title}**", ""]
    if rows:
        lines.append(f"| {' | '.join(map(_cell, heads))} |")
        lines.append("|" + "---|" * len(heads))
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
        lines.append("")
    for note in notes:
        lines += [note, ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
