from pathlib import Path

from fedward.report.labels import flatten, label_runs
from fedward.report.runs import read_run
from tests.report.folders import Case, write_run


def test_labels_differ_and_say_what_differs(tmp_path: Path) -> None:
    cases = [
        Case(name="fedward", planned=2),
        Case(name="fedward", planned=2, seed=1),
        Case(name="fedavg", planned=2, seed=1),
    ]
    folders = [write_run(tmp_path / str(i), case) for i, case in enumerate(cases)]
    runs = [read_run(folder) for folder in folders]
    assert label_runs(runs) == ["fedward, seed 0", "fedward, seed 1", "fedavg"]
    twins = label_runs([runs[0], runs[0]])
    assert len(set(twins)) == 2


def test_flatten_keeps_every_leaf() -> None:
    table = {"a": {"b": 1, "c": {"d": None}}, "e": [1, 2], "f": {}, "g": "x", "h": True}
    assert dict(flatten(table)) == {
        "a.b": "1", "a.c.d": "none", "e": "[1, 2]", "f": "{}", "g": "x", "h": "true",
    }  # fmt: skip
