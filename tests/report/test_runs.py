import json
from pathlib import Path

import pytest

from fedward.defenses import DEFENSES
from fedward.report.runs import BrokenRun, find_runs, read_run
from tests.report.folders import Case, config_of, read_lines, write_lines, write_run


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    case = Case(name="fedward")
    folder = write_run(tmp_path / "run", case)
    run = read_run(folder)
    assert (run.name, run.key, run.config) == ("fedward", case.key, config_of(case))
    for seen, line in zip(run.rounds, read_lines(folder / "rounds.jsonl"), strict=True):
        assert vars(seen) == line
    written = read_lines(folder / "verdicts.jsonl")
    assert sorted(vars(v).items() for v in run.verdicts) == sorted(
        {name: line[name] for name in vars(run.verdicts[0])}.items() for line in written
    )
    assert sum(map(len, run.by_round.values())) == len(written)
    assert run.result is not None
    assert run.result.metrics == json.loads((folder / "result.json").read_text())["metrics"]


def test_unfinished_run_has_no_result_and_the_name_of_its_defense(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "x", Case(name="later", done=12)))
    assert run.result is None
    assert (run.name, len(run.rounds), run.planned) == ("fedward", 12, 30)
    assert run.key is not None


def test_run_that_has_only_begun(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="new", done=0))
    for name in ("rounds.jsonl", "verdicts.jsonl"):
        (folder / name).unlink()
    run = read_run(folder)
    assert (run.rounds, run.verdicts, run.attacked_rounds) == ((), (), ())


@pytest.mark.parametrize("name", ["rounds.jsonl", "verdicts.jsonl"])
def test_half_written_last_line_of_a_live_run_is_skipped(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "x", Case(name="live", done=6))
    before = read_run(folder)
    with (folder / name).open("a") as file:
        file.write('{"round": 6, "att')
    assert read_run(folder) == before


def test_half_written_line_of_a_finished_run_is_an_error(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="done", planned=6))
    with (folder / "rounds.jsonl").open("a") as file:
        file.write('{"round": 6, "att')
    with pytest.raises(BrokenRun, match=r"rounds\.jsonl, line 7: Invalid JSON"):
        read_run(folder)


def test_verdicts_of_a_round_not_yet_written_are_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="live", done=6))
    lines = read_lines(folder / "rounds.jsonl")
    write_lines(folder / "rounds.jsonl", lines[:-1])
    run = read_run(folder)
    assert max(verdict.round for verdict in run.verdicts) == 4


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"round": 2}', "attacked: Field required"),
        ('{"round": "two"}', "round: Input should be a valid integer"),
    ],
)
def test_broken_line_is_named(tmp_path: Path, broken: str, says: str) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", done=5))
    path = folder / "rounds.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], broken, *lines[3:]]) + "\n")
    with pytest.raises(BrokenRun, match=r"rounds\.jsonl, line 3: ") as caught:
        read_run(folder)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "result.json"])
def test_broken_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", planned=3))
    (folder / name).write_text("{")
    with pytest.raises(BrokenRun, match=name):
        read_run(folder)


@pytest.mark.parametrize("end", ["start", "stop"])
def test_a_window_that_is_none_is_named(tmp_path: Path, end: str) -> None:
    case = Case(name="x", planned=3)
    folder = write_run(tmp_path / "x", case)
    config = config_of(case)
    config["attackers"][end] = "soon"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BrokenRun, match=rf"config\.json: attackers\.{end} needs.*'soon'"):
        read_run(folder)


def test_finished_run_without_its_lines(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", planned=3))
    (folder / "rounds.jsonl").unlink()
    with pytest.raises(BrokenRun, match=r"rounds\.jsonl is missing"):
        read_run(folder)


@pytest.mark.parametrize(
    ("file", "kept", "says"),
    [
        ("rounds", slice(4), "8 rounds, got 4"),
        ("rounds", slice(0), "8 rounds, got 0"),
        ("rounds", slice(1, None), "8 rounds, got 7"),
        ("verdicts", slice(40), "10 verdicts on round 4, got 0"),
        ("verdicts", slice(79), "10 verdicts on round 7, got 9"),
        ("verdicts", slice(1, None), "10 verdicts on round 0, got 9"),
    ],
)
@pytest.mark.parametrize("simulated", [True, False])
def test_a_finished_run_that_lost_lines_is_an_error(
    tmp_path: Path, file: str, kept: slice, says: str, simulated: bool
) -> None:
    case = Case(name="x", planned=8)
    folder = write_run(tmp_path / "x", case)
    config = config_of(case)
    if not simulated:
        # A deployment may ask another number of clients each round.
        del config["clients_per_round"]
    (folder / "config.json").write_text(json.dumps(config))
    assert len(read_run(folder).verdicts) == 80
    path = folder / f"{file}.jsonl"
    write_lines(path, read_lines(path)[kept])
    with pytest.raises(BrokenRun, match=rf"{file}\.jsonl needs {says}$"):
        read_run(folder)
    # What a live run has not written yet is not lost.
    (folder / "result.json").unlink()
    read_run(folder)


def test_clients_that_failed_are_no_lost_lines(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", planned=3))
    rounds, verdicts = folder / "rounds.jsonl", folder / "verdicts.jsonl"
    records, lines = read_lines(rounds), read_lines(verdicts)
    records[2]["clients"] = 9
    lines[-1] |= {"accepted": False, "reason": "failed: at step 3: NaN"}
    write_lines(rounds, records)
    write_lines(verdicts, lines)
    assert read_run(folder).verdicts[-1].failed
    write_lines(verdicts, lines[:-1])
    with pytest.raises(BrokenRun, match="needs 10 verdicts on round 2, got 9"):
        read_run(folder)


def test_round_written_twice_counts_as_last_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", done=4))
    lines = read_lines(folder / "rounds.jsonl")
    write_lines(folder / "rounds.jsonl", [*lines, {**lines[2], "ma": 0.125}])
    run = read_run(folder)
    assert [record.round for record in run.rounds] == [0, 1, 2, 3]
    assert run.rounds[2].ma == 0.125


def test_round_without_measurement_may_say_null(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", done=2))
    lines = read_lines(folder / "rounds.jsonl")
    write_lines(
        folder / "rounds.jsonl", [{**line, "ma": None, "asr": None} for line in lines]
    )
    assert [(record.ma, record.asr) for record in read_run(folder).rounds] == [
        (None, {})
    ] * 2


def test_fields_of_newer_versions_are_ignored(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name="x", done=2))
    before = read_run(folder)
    lines = read_lines(folder / "rounds.jsonl")
    write_lines(folder / "rounds.jsonl", [{**line, "novel": [1]} for line in lines])
    assert read_run(folder) == before


def test_finds_runs_and_folders_of_runs_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_run(tmp_path / "all" / name, Case(name=name, done=1))
    (tmp_path / "all" / "notes").mkdir()
    (tmp_path / "all" / "report.html").touch()
    every = tmp_path / "all"
    assert find_runs([every]) == [every / "a", every / "b"]
    assert find_runs([every / "b", every, every / "b"]) == [every / "b", every / "a"]


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(BrokenRun, match="absent does not exist"):
        find_runs([tmp_path / "absent"])
    (tmp_path / "file.json").touch()
    with pytest.raises(BrokenRun, match=r"file\.json is not a folder"):
        find_runs([tmp_path / "file.json"])
    with pytest.raises(BrokenRun, match=r"no config\.json.*holds none"):
        find_runs([tmp_path])
    with pytest.raises(BrokenRun, match=r"no config\.json"):
        read_run(tmp_path)


def test_clean_runs_are_those_in_which_nobody_ever_attacks(tmp_path: Path) -> None:
    def is_clean(name: str, case: Case, **attackers: int | None) -> bool:
        folder = write_run(tmp_path / name, case)
        config = config_of(case)
        config["attackers"].update(attackers)
        (folder / "config.json").write_text(json.dumps(config))
        return read_run(folder).clean

    case = Case(name="x", planned=8, done=2)
    assert not is_clean("a", case)
    assert is_clean("b", Case(name="x", attack=None, done=2))
    assert is_clean("c", case, count=0)
    assert is_clean("d", case, stop=5)
    assert is_clean("e", case, start=8)
    assert not is_clean("f", case, stop=6)


@pytest.mark.parametrize("defense", sorted(DEFENSES))
def test_known_defenses_say_whether_they_select(tmp_path: Path, defense: str) -> None:
    run = read_run(write_run(tmp_path / "x", Case(name="x", defense=defense, done=2)))
    assert run.selects == DEFENSES[defense].selects


def test_unknown_defense_selects_once_it_has_rejected(tmp_path: Path) -> None:
    early, late = (
        read_run(write_run(tmp_path / str(n), Case(name="x", defense="of-mine", done=n)))
        for n in (3, 20)
    )
    assert not early.selects
    assert late.selects
