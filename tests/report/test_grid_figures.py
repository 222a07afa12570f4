from itertools import product

from fedward.bench.paper import NIRS, PDRS
from fedward.report.grid_cells import entries
from fedward.report.grid_figures import escapes
from fedward.report.grid_sheets import Sheet, lay_out
from tests.report.grids import only_sheet, paper_grid, result, results


def test_bars_are_the_means_with_intervals_and_diamonds_the_papers_text() -> None:
    grid = paper_grid(
        ["fashion-mnist"], ["25"], ["15.625", "31.25"], ["flame", "fedward"], [0, 1]
    )
    shares = {0: 0.1, 1: 0.3}
    found = {
        c.key: result(c.config, aer=shares[c.config.seed])
        for c in grid.cells
        if c.at["attack"] != "none"
    }
    figure = escapes([only_sheet(grid, found)])
    assert figure is not None
    bars = {trace.name: trace for trace in figure.data if trace.type == "bar"}
    assert list(bars) == ["flame", "fedward"]
    assert list(bars["fedward"].x) == [
        "NIR 25 %<br>PDR 15.625 %",
        "NIR 25 %<br>PDR 31.25 %",
    ]
    assert list(bars["fedward"].y) == [20, 20]
    # t(0.975) with one degree of freedom, 12.706, times half the difference.
    assert [round(half, 2) for half in bars["fedward"].error_y.array] == [127.06] * 2
    (stated,) = [t for t in figure.data if t.name == "fedward in the paper's text"]
    assert (list(stated.x), list(stated.y)) == (["NIR 25 %<br>PDR 31.25 %"], [14.24])
    assert stated.offsetgroup == bars["fedward"].offsetgroup != bars["flame"].offsetgroup


def test_what_the_text_states_is_drawn_before_anything_is_run() -> None:
    grid = paper_grid(["mnist"], NIRS, [f"{pdr:g}" for pdr in PDRS], ["fedcc", "fedward"])
    figure = escapes([only_sheet(grid, {})])
    assert figure is not None
    drawn = {
        t.name: list(t.y) for t in figure.data if t.type == "scatter" and t.y != (None,)
    }
    assert drawn == {
        "fedcc in the paper's text": [76] * 9,
        "fedward in the paper's text": [0] * 12,
    }
    order = [
        f"{'IID' if nir == 'iid' else f'NIR {nir} %'}<br>PDR {pdr:g} %"
        for nir, pdr in product(NIRS, PDRS)
    ]
    assert list(figure.layout.xaxis.categoryarray) == order


def test_a_panel_a_data_set_with_one_legend() -> None:
    grid = paper_grid(["mnist", "cifar10"], ["25"], ["31.25"], ["median", "fedward"])
    found = results(grid.cells, {"median": {}, "fedward": {"aer": 0.5}})
    sheets = [page for page in lay_out(entries(grid, found)) if isinstance(page, Sheet)]
    figure = escapes(sheets)
    assert figure is not None
    assert [note.text for note in figure.layout.annotations] == [s.title for s in sheets]
    legend = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert legend == ["fedward", "stated in the paper's text"]


def test_no_figure_of_methods_that_take_everybody() -> None:
    grid = paper_grid(methods=["median", "fedavg"])
    assert escapes([only_sheet(grid, results(grid.cells, {"median": {}}))]) is None
    assert escapes([]) is None
