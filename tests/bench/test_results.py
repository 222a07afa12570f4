import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedward.bench.grid import make_cell, make_grid
from fedward.bench.results import (
    file_name,
    file_names,
    read_results,
    scan_results,
    write_result,
)
from fedward.simulation.config import RunConfig, to_table
from fedward.simulation.folder import RunFolder
from fedward.simulation.presets import MNIST
from fedward.simulation.runner import folder_of


def result(config: RunConfig = MNIST, aasr: float = 0.5) -> dict[str, Any]:
    return {
        "key": config.key,
        "config": to_table(config),
        "metrics": {"aasr": aasr},
        "provenance": {"command": "fedward bench table1 --runs /a/b --seeds 0"},
        "rounds": 110,
        "seconds": 220.0,
    }


def finish(config: RunConfig, runs: Path) -> RunFolder:
    folder = folder_of(config, runs)
    folder.path.mkdir(parents=True)
    folder.begin(config)
    folder.finish(result(config))
    return folder


def test_every_kind_of_place(tmp_path: Path) -> None:
    seeds = [replace(MNIST, seed=seed) for seed in range(5)]
    folder = finish(seeds[0], tmp_path / "runs")
    finish(seeds[1], tmp_path / "runs")
    unfinished = folder_of(seeds[2], tmp_path / "runs")
    unfinished.path.mkdir()
    unfinished.begin(seeds[2])
    write_result(tmp_path / "results" / "deep" / "a.json", result(seeds[3]))
    lines = tmp_path / "results" / "many.jsonl"
    lines.write_text("".join(json.dumps(result(seed)) + "\n" for seed in seeds[3:]))
    assert list(read_results([folder.path])) == [seeds[0].key]
    assert set(read_results([tmp_path / "runs"])) == {seeds[0].key, seeds[1].key}
    assert set(read_results([tmp_path / "results"])) == {seeds[3].key, seeds[4].key}
    assert len(read_results([tmp_path / "results", tmp_path / "runs"])) == 4


def test_the_key_is_of_the_settings_not_of_what_the_file_says(tmp_path: Path) -> None:
    """A result from before a setting existed lacks it, and means its default."""
    old = result()
    del old["config"]["defend_from"]
    old["key"] = "of older days"
    write_result(tmp_path / "old.json", old)
    assert list(read_results([tmp_path])) == [MNIST.key]


def test_the_later_of_two_counts(tmp_path: Path) -> None:
    write_result(tmp_path / "a" / "x.json", result(aasr=0.1))
    write_result(tmp_path / "b" / "x.json", result(aasr=0.2))
    found = read_results([tmp_path / "b", tmp_path / "a"])
    assert found[MNIST.key]["metrics"]["aasr"] == 0.1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"config": {"datasett": "mnist"}}'])
def test_what_is_no_result_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.json").write_text(text)
    with pytest.raises(ValueError, match=r"wrong\.json does not hold a result"):
        read_results([tmp_path])
    with pytest.raises(ValueError, match="it does not exist"):
        read_results([tmp_path / "absent"])


ODD: dict[str, bytes] = {
    "no metrics": json.dumps({"config": to_table(MNIST), "rounds": 110}).encode(),
    "no provenance": json.dumps({**result(), "provenance": None}).encode(),
    "a metric in words": json.dumps({**result(), "metrics": {"aasr": "high"}}).encode(),
    "no rounds": json.dumps({**result(), "rounds": 0}).encode(),
    "not UTF-8": b'{"config": "\xff"}',
    "a list": b"[1]",
    "a number": b"3",
    "nested without end": b"[" * 100_000,
    "settings of the wrong kind": json.dumps(
        {**result(), "config": {"rounds": "many", "clients": -1}}
    ).encode(),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_one_odd_file_is_named_in_a_line_and_hides_no_other(
    content: bytes, tmp_path: Path
) -> None:
    write_result(tmp_path / "fine.json", result())
    (tmp_path / "odd.json").write_bytes(content)
    scan = scan_results([tmp_path])
    assert list(scan.results) == [MNIST.key]
    ((name, said),) = scan.broken.items()
    assert name == str(tmp_path / "odd.json")
    assert said.startswith(f"{name} does not hold a result: ")
    assert "\n" not in said
    assert len(said.removeprefix(name)) < 300
    with pytest.raises(ValueError, match=r"odd\.json does not hold a result"):
        read_results([tmp_path])


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_result(tmp_path / "folder.json" / "fine.json", result())
    (tmp_path / "link.json").symlink_to(tmp_path / "gone")
    scan = scan_results([tmp_path])
    assert list(scan.results) == [MNIST.key]
    (said,) = scan.broken.values()
    assert "link.json does not hold a result: it cannot be read: No such file" in said


def test_other_tables_in_a_folder_are_passed_over_but_not_where_named(
    tmp_path: Path,
) -> None:
    write_result(tmp_path / "x.json", result())
    (tmp_path / "speed.json").write_text('{"about": [], "seconds": 3.5}')
    (tmp_path / "speed.jsonl").write_text('{"seconds": 1}\n{"seconds": 2}\n')
    assert set(read_results([tmp_path])) == {MNIST.key}
    with pytest.raises(ValueError, match=r"speed\.json does not hold a result"):
        read_results([tmp_path / "speed.json"])


def test_places_of_this_machine_are_not_written(tmp_path: Path) -> None:
    write_result(tmp_path / "x.json", result())
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["provenance"]["command"] == "fedward bench table1 --seeds 0"
    elsewhere = "fedward bench /a/b/mine.toml --cluster tcp://x:1 --results=/c --seeds 0"
    write_result(tmp_path / "x.json", {**result(), "provenance": {"command": elsewhere}})
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["provenance"]["command"] == "fedward bench mine.toml --seeds 0"
    given = {**result(), "provenance": {"command": None}}
    write_result(tmp_path / "x.json", given)
    assert json.loads((tmp_path / "x.json").read_text()) == given


def test_file_names_say_where_a_cell_stands() -> None:
    cell = make_cell(MNIST, {"nir": "25", "pdr": "46.875", "defense": "fedward:eps=kth"})
    assert file_name(cell) == "mnist-nir25-pdr46.875-fedward-eps-kth-seed0"
    assert file_name(cell.clean) == "mnist-nir25-pdr46.875-clean-seed0"
    other = make_cell(MNIST, {"attack": "label-flip", "training.lr": 0.1, "seed": 2})
    assert file_name(other) == "mnist-nir50-label-flip-fedward-training.lr0.1-seed2"


def test_file_names_of_a_grid_differ() -> None:
    axes = {"attack": ["dba", "dba:target=3", "label-flip"], "defense": ["median"]}
    grid = make_grid("mine", "Mine", {"mnist": MNIST}, axes)
    names = file_names(grid)
    assert len(set(names.values())) == len(grid.cells) == 6
    clean = [cell for cell in grid.cells if cell.at["attack"] == "none"]
    assert [cell.key in names[cell.key] for cell in clean] == [True, True, False]
    assert names[clean[2].key] == "mnist-nir50-clean-seed0.json"
