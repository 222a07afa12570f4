import builtins
import csv
import io
from typing import Any

import pytest
from pyarrow import parquet

from fedward.bench.grid import make_grid
from fedward.report.grid_cells import entries, found_grid
from fedward.report.grid_records import AXES, RECORD, as_csv, as_parquet, records
from fedward.simulation.presets import DEMO
from tests.report.grids import Result, paper_grid, result, results


def rows_and_results() -> tuple[list[dict[str, Any]], dict[str, Result]]:
    grid = paper_grid(
        nirs=["25"], pdrs=["46.875"], methods=["median", "fedward"], seeds=[0, 1]
    )
    cells = [c for c in grid.cells if c.config.seed == 0 or c.at["defense"] != "median"]
    found = results(
        cells,
        {"clean": {"aasr": 0.01}, "median": {"aasr": 1 / 3}, "fedward": {"aer": 0.125}},
    )
    return records(entries(grid, found)), found


def test_a_row_a_run_with_every_metric_and_where_it_came_from() -> None:
    rows, found = rows_and_results()
    assert len(rows) == 6
    assert {
        row["key"]: row["status"] for row in rows if row["key"] in found
    } == dict.fromkeys(found, "finished")
    assert [row["seed"] for row in rows if row["status"] == "missing"] == [1]
    for row in rows:
        assert list(row) == [*AXES, *RECORD]
        stored = found.get(row["key"])
        if stored is not None:
            for key, value in stored["metrics"].items():
                assert key == "aasr_parts" or row[key] == value
            assert row["commit"] == stored["provenance"]["commit"]
            assert row["command"] == stored["provenance"]["command"]
    median = next(row for row in rows if row["defense"] == "median")
    assert (median["paper_aasr"], median["paper_ma"], median["floor"]) == (
        0.1072,
        0.9593,
        0.01,
    )
    fedward = next(row for row in rows if row["defense"] == "fedward")
    assert (fedward["aer"], fedward["paper_aer"], fedward["not_the_papers"]) == (
        0.125,
        0.0,
        None,
    )


def test_every_setting_that_differs_is_told() -> None:
    axes: dict[str, list[Any]] = {
        "attackers.count": [2, 4],
        "rounds": [20, 30],
        "attack": ["dba", "dba:epochs=2", "edge-case"],
        "defense": ["median", "fedward:eps=kth"],
    }
    cells = make_grid("mine", "Mine", {"mnist-small": DEMO}, axes).cells
    # Without the grid, from the results alone.
    found = {cell.key: result(cell.config) for cell in cells}
    rows = records(entries(found_grid(found), found))
    assert len(rows) == len(cells)
    columns = list(rows[0])
    assert columns[: len(AXES) + len(RECORD)] == [*AXES, *RECORD]
    assert {"attackers.count", "attack.epochs"} <= set(columns)
    assert "attackers.choice" not in columns
    told = [*AXES, "seed", "rounds", *columns[len(AXES) + len(RECORD) :]]
    assert len({tuple(row[name] for name in told) for row in rows}) == len(rows)
    by_key = {row["key"]: row for row in rows}
    for cell in cells:
        row = by_key[cell.key]
        assert row["attackers.count"] == cell.at["attackers.count"]
        assert row["rounds"] == cell.config.rounds
    assert parquet.read_table(io.BytesIO(as_parquet(rows))).to_pylist() == rows


def test_csv_reads_back_to_the_same_numbers() -> None:
    rows, _ = rows_and_results()
    text = as_csv(rows)
    read = list(csv.DictReader(io.StringIO(text)))
    assert len(read) == len(rows)
    for line, row in zip(read, rows, strict=True):
        for name, value in row.items():
            kind = RECORD.get(name, str)
            assert (kind(line[name]) if line[name] else None) == value
    assert text.endswith("\n")
    assert "\r" not in text


def test_parquet_reads_back_to_the_same_rows_with_types() -> None:
    rows, _ = rows_and_results()
    table = parquet.read_table(io.BytesIO(as_parquet(rows)))
    assert table.to_pylist() == rows
    types = {field.name: str(field.type) for field in table.schema}
    assert {types[name] for name in ("seed", "rounds")} == {"int64"}
    # Nobody measured it, and it is still a number.
    assert types["brr_rare"] == "double"
    assert types["dataset"] == types["not_the_papers"] == "string"


def test_nothing_is_a_heading_and_a_schema() -> None:
    assert as_csv([]).strip().split(",") == list(RECORD)
    empty = parquet.read_table(io.BytesIO(as_parquet([])))
    assert (empty.num_rows, empty.column_names) == (0, list(RECORD))


def test_without_pyarrow_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def lacking(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(ValueError, match=r"fedward\[tables\]"):
        as_parquet([])
