import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from fedward.bench.grid import Grid
from fedward.bench.results import read_results
from fedward.report.grid_cells import found_grid
from fedward.report.grid_html import (
    Folders,
    Note,
    find_folders,
    render_grid,
    write_grid_report,
)
from fedward.report.palette import PAIRS
from tests.needs import missing
from tests.report.folders import Case, write_run
from tests.report.grids import attack_grid, paper_grid, result, results, write_folder
from tests.report.test_browser import BROWSER, visit
from tests.report.test_html import HOSTILE, Page

COMMITTED = [
    Path(__file__).parents[2] / "results" / name
    for name in ("mnist-nir50-pdr31", "fashion-nir50-pdr31", "demo")
]


@dataclass(frozen=True)
class Made:
    grid: Grid
    results: dict[str, dict[str, object]]
    folders: dict[str, Path]
    out: Path
    page: Page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A part of Table I with one cell missing, and run folders of one of its two places."""
    root = tmp_path_factory.mktemp("grid")
    grid = paper_grid(nirs=["25"], methods=["fedavg", "median", "flame", "fedward"])
    shares: dict[str, dict[str, float | None]] = {
        "clean": {"aasr": 0.01},
        "fedavg": {"aasr": 0.97},
        "median": {"aasr": 0.6},
        "fedward": {"aasr": 0.02, "aer": 0.05},
    }
    found = results(grid.cells, shares)
    for cell in grid.cells:
        if cell.at["pdr"] == "46.875":
            write_folder(root / "runs" / "deep" / cell.key, cell, found.get(cell.key))
    folders = dict(find_folders([root / "runs"]).by_key)
    (folders[grid.cells[-1].key] / "report.html").write_text("its own")
    out = write_grid_report(grid, found, root / "new" / "grid.html", folders)
    return Made(grid, found, folders, out, Page(out.read_text()))


def test_page_is_well_formed_and_loads_nothing(made: Made) -> None:
    page = made.page
    assert (page.wrong, page.open) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    for tag, attrs in page.elements:
        for name in ("aria-controls", "aria-labelledby"):
            assert attrs.get(name, page.ids[0]) in page.ids, (tag, attrs)
        href = attrs.get("href") or ""
        if href.startswith("#"):
            assert href[1:] in page.ids, href
        assert not {"src", "srcset", "action"} & set(attrs)
    links = {attrs.get("href") for tag, attrs in page.elements if tag in ("a", "link")}
    outside = {link for link in links if link and not link.startswith("#")}
    own = f"../runs/deep/{made.grid.cells[-1].key}/report.html"
    assert outside == {"data:,", "https://doi.org/10.1109/ICME55011.2023.00067", own}


def test_every_finished_cell_links_to_where_it_came_from(made: Made) -> None:
    links = [attrs.get("href") for tag, attrs in made.page.elements if tag == "a"]
    for cell in made.grid.cells:
        finished = cell.key in made.results
        assert (f"run-{cell.key}" in made.page.ids) == finished
        assert (f"#run-{cell.key}" in links) == finished
    text = " ".join(made.page.text)
    assert "fedward bench part" in text
    assert "0123abc" in text


def test_numbers_paper_floor_and_missing_are_on_the_page(made: Made) -> None:
    text = " ".join(made.page.text)
    assert "8 of 10 cells are finished." in text
    # Table I, NIR 25, PDR 46.875: Median 10.72, Fedward 1.51, FLAME 1.66.
    for part in ("paper 10.72, +49.28 ▲", "paper 1.51, +0.49", "paper 1.66", "missing"):
        assert part in text
    assert "floor 1.00, n = 1" in text
    classes = [attrs.get("class") or "" for tag, attrs in made.page.elements if tag == "td"]
    assert sum("missing" in each for each in classes) == 2 * 4
    assert any("worse-3" in each for each in classes)


def test_curves_are_of_the_runs_that_have_folders(made: Made) -> None:
    figures = {
        name: f for name, f in made.page.figures.items() if name.startswith("curves")
    }
    (figure,) = figures.values()
    names = {
        trace["name"]
        for trace in json.loads(figure)["data"]
        if trace.get("showlegend", True)
    }
    assert {"fedavg, nobody attacks", "fedavg", "median", "fedward", "flame"} <= names
    text = " ".join(made.page.text)
    assert "4 of 8 finished cells are known by their results alone" in text
    drawn = [a for tag, a in made.page.elements if tag == "a" and "data-run" in a]
    assert len(drawn) == 4


def test_committed_results_make_a_page_that_says_it_has_no_curves() -> None:
    found = read_results(COMMITTED)
    page = Page(render_grid(found_grid(found), found))
    assert (page.wrong, page.open) == ([], [])
    text = " ".join(page.text)
    assert (
        f"{len(found)} of {len(found)} finished cells are known by their results alone"
        in text
    )
    assert not [name for name in page.figures if name.startswith("curves")]
    assert "rounds 60, not 110" in text
    for result_ in found.values():
        assert result_["key"] in text


def test_pages_of_every_kind_are_well_formed() -> None:
    empty = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["median"])
    matrix = attack_grid()
    found = results(matrix.cells, {"fedavg": {"aasr": 0.9}, "clean": {}, "fedward": {}})
    for grid, known in ((empty, {}), (matrix, found), (Grid("none", "None", ()), {})):
        page = Page(render_grid(grid, known))
        assert (page.wrong, page.open) == ([], [])
    assert "Nothing is finished yet." in " ".join(Page(render_grid(empty, {})).text)


def test_hostile_names_stay_text() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["fedward"])
    found = {}
    for cell in grid.cells:
        found[cell.key] = result(cell.config)
        found[cell.key]["provenance"].update(command=HOSTILE, device=HOSTILE)
    page = Page(render_grid(Grid("x", HOSTILE, grid.cells), found))
    assert (page.wrong, page.open) == ([], [])
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert HOSTILE in " ".join(page.text)


def test_what_is_left_out_is_said_and_named() -> None:
    grid = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["fedward"])
    page = Page(render_grid(grid, {}, notes=[Note("2 files are left out", ("a", HOSTILE))]))
    assert page.wrong == []
    words = " ".join(page.text)
    assert "2 files are left out" in words
    assert HOSTILE in words
    assert "left out" not in render_grid(grid, {})


def test_folders_are_found_however_deep_and_deployments_are_no_cells(
    tmp_path: Path,
) -> None:
    grid = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["fedward"])
    cell = grid.cells[-1]
    folder = write_folder(tmp_path / "a" / "b" / "run", cell, None)
    write_run(tmp_path / "a" / "ward", Case(name="not a configuration of ours", planned=2))
    (tmp_path / "a" / ".hidden").mkdir()
    assert find_folders([tmp_path]) == Folders({cell.key: folder}, {})
    assert find_folders([folder, tmp_path / "absent"]).by_key == {cell.key: folder}


def test_a_broken_folder_is_named_and_hides_no_other(tmp_path: Path) -> None:
    cell = paper_grid(nirs=["25"], pdrs=["31.25"], methods=["fedward"]).cells[-1]
    folder = write_folder(tmp_path / "fine", cell, None)
    for name in ("config.json", "rounds.jsonl"):
        broken = write_folder(tmp_path / f"without {name}", cell, None)
        (broken / name).write_bytes(b"\xff\n")
    found = find_folders([tmp_path])
    assert found.by_key == {cell.key: folder}
    assert [said.partition(": ")[0] for said in found.broken.values()] == [
        str(tmp_path / "without config.json" / "config.json"),
        str(tmp_path / "without rounds.jsonl" / "rounds.jsonl, line 1"),
    ]


def test_every_colour_of_the_charts_has_a_dark_partner(made: Made) -> None:
    for name, figure in made.page.figures.items():
        if name != "pairs":
            used = set(re.findall(r"#[0-9a-f]{6}", figure))
            assert used <= set(PAIRS), name


READER = """
<pre id="seen"></pre>
<script>
addEventListener("load", async () => {
  const settle = () => new Promise((done) => setTimeout(done, 500));
  await settle();
  const count = (id, what) => document.querySelectorAll(`#${id} ${what}`).length;
  const seen = { bars: count("aer", ".barlayer .point path"),
    diamonds: count("aer", ".scatterlayer .point"), lines: count("curves-0", ".js-line") };
  const far = document.querySelector("td.worse-3");
  seen.day = getComputedStyle(far).backgroundColor;
  document.getElementById("theme").click();
  await settle();
  seen.night = getComputedStyle(far).backgroundColor;
  seen.drawn = document.getElementById("aer").dataset.drawn;
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  seen.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
</script>
"""


def test_a_browser_draws_it_by_day_and_night(made: Made, tmp_path: Path) -> None:
    if BROWSER is None:
        missing("Chromium")
    copy = tmp_path / "grid.html"
    copy.write_text(made.out.read_text().replace("</body>", f"{READER}</body>"))
    visited = visit(copy, tmp_path / "profile")
    assert visited.console == []
    seen = visited.seen
    # Fedward twice; the paper's text has it twice too, and the legend draws no mark.
    assert (seen["bars"], seen["diamonds"]) == (2, 2)
    assert seen["lines"] >= 2 * 5
    assert seen["day"] == "rgb(242, 176, 106)"
    assert seen["night"] == "rgb(132, 81, 15)"
    assert (seen["drawn"], seen["wide"], seen["loaded"]) == ("dark", False, [])
