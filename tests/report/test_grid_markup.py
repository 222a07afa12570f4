import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fedward.bench.grid import Cell, Grid, place
from fedward.bench.grids import PAPER
from fedward.report.grid_cells import entries
from fedward.report.grid_markup import FEW, escaped, latex, markdown
from fedward.report.grid_sheets import Matrix, Sheet, lay_out
from fedward.report.palette import DASH
from fedward.simulation.config import clean_twin
from tests.needs import missing
from tests.report.grids import Result, attack_grid, paper_grid, result, results

SHARES: dict[str, dict[str, float | None]] = {
    "clean": {"aasr": 0.01},
    "fedavg": {"aasr": 0.9},
    "median": {"aasr": 0.1072, "ma_final": 0.9593},
    "fedward": {"aasr": 0.02, "ma_final": 0.95, "aer": 0.0125, "brr": 0.25},
}


def sheet_pages() -> tuple[Sheet | Matrix, ...]:
    grid = paper_grid(pdrs=["46.875"], methods=["fedavg", "median", "flame", "fedward"])
    return lay_out(entries(grid, results(grid.cells, SHARES)))


def matrix_pages() -> tuple[Sheet | Matrix, ...]:
    grid = attack_grid()
    struck = [cell for cell in grid.cells if cell.at["attack"] in ("none", "dba")]
    return lay_out(entries(grid, results(struck, SHARES)))


def bodies(text: str) -> list[list[str]]:
    """The lines of every tabular that are rows, without the headings over them."""
    found = re.findall(r"\\begin{tabular}{(l[r]+)}\n(.*?)\\end{tabular}", text, re.DOTALL)
    rows = []
    for columns, body in found:
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        for line in lines:
            spans = [int(n) for n in re.findall(r"\\multicolumn{(\d+)}", line)]
            ampersands = len(re.findall(r"(?<!\\)&", line))
            # Every line fills exactly the columns that the table declares.
            assert ampersands + 1 + sum(spans) - len(spans) == len(columns), line
        rows.append(lines)
    return rows


def test_latex_has_the_numbers_and_bold_is_the_best() -> None:
    text = latex(sheet_pages())
    (rows,) = bodies(text)
    lines = {line.partition(" & ")[0]: line for line in rows}
    assert lines["fedward"] == (
        r"fedward & $\mathbf{2.00}$ & $95.00$ & $\mathbf{2.00}$ & $95.00$ \\"
    )
    assert lines["median"] == r"median & $10.72$ & $95.93$ & $10.72$ & $95.93$ \\"
    assert lines["flame"] == r"flame & -- & -- & -- & -- \\"
    assert text.count(r"\mathbf") == 2
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){4-5}"):
        assert rule in text
    assert "one seed" in text


def test_latex_has_intervals_over_seeds_and_marks_other_settings() -> None:
    config = replace(PAPER["mnist"], rounds=60)
    cells = tuple(
        Cell(replace(config, seed=seed), place(replace(config, seed=seed)))
        for seed in (0, 1)
    )
    found = {c.key: result(c.config, aasr=0.02 + 0.02 * c.config.seed) for c in cells}
    text = latex(lay_out(entries(Grid("x", "x", cells), found)))
    assert r"fedward & $3.00 \pm 12.71^{\dagger}$ & $90.00 \pm 0.00$ \\" in text
    assert r"mean and 95\,\% t-interval over 2 seeds" in text
    assert r"$\dagger$ not the paper's protocol" in text


def test_latex_of_a_matrix_doubts_attacks_that_were_not_shown() -> None:
    (rows,) = bodies(latex(matrix_pages()))
    assert r"dba & 89.0 & 9.7 & -- & 1.0 \\" in rows
    assert r"(norm-matching) & -- & -- & -- & -- \\" in rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NIR 25 %", r"NIR 25 \%"),
        ("a_b & c#d", r"a\_b \& c\#d"),
        ("~^\\{}$", r"\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}\$"),
        ("a<b>c", r"a\textless{}b\textgreater{}c"),
    ],
)
def test_every_special_character_is_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_latex_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        missing("pdflatex")
    file = tmp_path / "tables.tex"
    file.write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + "\n"
        + latex([*sheet_pages(), *matrix_pages()]) + escaped("~^\\{}$&%#_<>")
        + "\n" + r"\end{document}"
    )  # fmt: skip
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 1000


def table_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table, and that all its lines are as long."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(cells) for cells in split} == {len(split[0])}
    return split


def test_markdown_is_ours_beside_the_papers() -> None:
    text = markdown(sheet_pages())
    heads, _, *rows = table_of(text)
    assert heads[:5] == ["split", "PDR, %", "method", "n", "MA"]
    assert [row[2] for row in rows] == [
        *("fedavg, nobody attacks", "fedavg", "median", "fedward"),
    ] * 2
    row = next(row for row in rows if (row[0], row[2]) == ("NIR 25 %", "fedward"))
    # Table I: MA 96.68, AASR 1.51.
    assert row[3:] == [
        "1", "95.00", "96.68", "2.00", "1.51", "1.00", "1.25", "25.00",
    ]  # fmt: skip
    assert "2 of 10 cells are missing." in text
    assert text.startswith("**MNIST, attack dba**\n\n|")


def test_markdown_of_a_small_matrix_is_written_out() -> None:
    heads, _, *rows = table_of(markdown(matrix_pages()))
    assert heads[0] == "attack"
    assert ["dba", "yes", "fedward", "1", "95.00", "2.00", "1.00", "1.25", "25.00"] in rows


def test_markdown_of_a_small_matrix_counts_what_is_missing() -> None:
    grid = attack_grid(methods=["fedavg"])
    found = results(grid.cells, {"fedavg": SHARES["fedavg"]})
    text = markdown(lay_out(entries(grid, found)))
    _, _, *rows = table_of(text)
    assert [row[0] for row in rows] == ["dba", "norm-matching", "inner-product"]
    assert "3 of 6 cells are missing." in text


def test_markdown_says_that_an_attack_that_stops_early_has_no_floor() -> None:
    base = PAPER["mnist"]
    said = "An attack that stops before the run does has no floor"
    for stop, floor in ((8, DASH), (None, "1.00")):
        config = replace(base, attackers=replace(base.attackers, stop=stop))
        cells = tuple(Cell(c, place(c)) for c in (clean_twin(config), config))
        found = {c.key: result(c.config, aasr=0.01) for c in cells}
        text = markdown(lay_out(entries(Grid("x", "x", cells), found)))
        heads, _, _, row = table_of(text)
        assert row[heads.index("floor")] == floor
        assert (said in text) == (stop is not None)


def test_markdown_of_a_large_matrix_is_compact() -> None:
    attacks = ["dba", "norm-matching", "inner-product", "label-flip", "pgd", "neurotoxin"]
    methods = ["fedavg", "median", "krum", "rfa", "flame", "fedcc", "fedward"]
    grid = attack_grid(attacks, methods)
    assert len(attacks) * len(methods) > FEW
    kept = [c for c in grid.cells if c.at["attack"] != "pgd"]
    found: dict[str, Result] = results(kept, SHARES)
    heads, _, *rows = table_of(markdown(lay_out(entries(grid, found))))
    assert heads == ["attack", "shown against FedAvg", *methods]
    assert [row[0] for row in rows] == attacks
    lacking = ["missing"] * 4
    assert rows[0] == ["dba", "yes", "+89.00", "+9.72", *lacking, "+1.00"]
    assert rows[4] == ["pgd", "no: missing against FedAvg", *["missing"] * 7]
