import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from fedward.report import html
from fedward.report.html import render, write_report
from fedward.report.runs import BrokenRun, RunView, read_run
from fedward.report.tables import percent
from tests.report.folders import Case, read_lines, write_lines, write_run

VOID = {"meta", "link", "input", "br"}
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"{{ 7 * 7 }}%{x}"


class Page(HTMLParser):
    """Elements, text and nesting errors of a page but for plotly's own script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.text: list[str] = []
        self.figures: dict[str, str] = {}
        self.script = ""
        self.feed(text.replace(get_plotlyjs(), ""))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        self.script = dict(attrs).get("id") or "" if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            if self.script:
                self.figures[self.script] = self.figures.get(self.script, "") + data
        elif self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.elements if "id" in attrs]


def strings(value: Any) -> Iterator[str]:
    """All text that plotly shows; the page shows a layout's meta itself, as text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from strings(item) if name != "meta" else ()


@pytest.fixture(scope="session")
def page_text(runs: list[RunView]) -> str:
    return render(runs)


@pytest.fixture(scope="session")
def page(page_text: str) -> Page:
    return Page(page_text)


def test_page_is_well_formed(page: Page, page_text: str) -> None:
    assert page_text.startswith("<!DOCTYPE html>")
    assert (page.wrong, page.open) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    for tag, attrs in page.elements:
        for name in ("for", "aria-controls", "aria-labelledby"):
            assert attrs.get(name, page.ids[0]) in page.ids, (tag, attrs)
        if tag == "a" and (attrs["href"] or "").startswith("#"):
            assert (attrs["href"] or "")[1:] in page.ids


def test_page_loads_nothing(page: Page, page_text: str) -> None:
    loading = {"src", "srcset", "data", "poster", "action", "background"}
    for tag, attrs in page.elements:
        assert not loading & set(attrs), (tag, attrs)
        if "href" in attrs:
            allowed = ("#", "data:,", "https://doi.org/") if tag in ("a", "link") else ()
            assert (attrs["href"] or "").startswith(allowed), (tag, attrs)
    style = page_text[page_text.index("<style>") : page_text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert len(re.findall(r"plotly\.js v\d", page_text)) == 1


def test_figures_are_those_of_the_runs(page: Page, runs: list[RunView]) -> None:
    charts = {name.removesuffix("-figure") for name in page.figures} - {"pairs"}
    assert charts == {
        "ma-asr", "aer-brr", "walk-2",
        *(f"{kind}-{i}" for kind in ("verdicts", "sizes") for i in range(3)),
    }  # fmt: skip
    curves = json.loads(page.figures["ma-asr-figure"])
    assert curves["data"][0]["name"] == "fedavg, nobody attacks"
    walks = json.loads(page.figures["walk-2-figure"])
    assert [frame["name"] for frame in walks["frames"]] == [str(n) for n in range(5, 30)]
    plots = [attrs for _, attrs in page.elements if attrs.get("class") == "plot"]
    assert {plot["id"] for plot in plots} == charts


def test_headline_metrics_settings_and_provenance_are_on_the_page(
    page: Page, runs: list[RunView]
) -> None:
    text = " ".join(page.text)
    for run in runs:
        assert run.result is not None
        for key in ("ma_final", "asr_final", "aasr"):
            value = run.result.metrics[key]
            assert isinstance(value, float)
            assert percent(value) in text
        for part in (run.key, run.result.params_sha256, "0123abc", "partition.alpha"):
            assert part is not None
            assert part in text
    assert "fedward run --set 'note=a b'" in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "x", Case(name=HOSTILE, planned=8, command=HOSTILE))
    for name, field in (("verdicts.jsonl", "reason"), ("rounds.jsonl", "held")):
        lines = read_lines(folder / name)
        write_lines(folder / name, [{**line, field: HOSTILE} for line in lines])
    text = render([read_run(folder)])
    page = Page(text)
    assert (page.wrong, page.open) == ([], [])
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [attrs for _, attrs in page.elements if "onerror" in attrs]
    assert sum(tag == "script" for tag, _ in page.elements) == len(page.figures) + 2
    assert HOSTILE in " ".join(page.text)
    drawn = [
        text for figure in page.figures.values() for text in strings(json.loads(figure))
    ]
    assert any("&lt;script" in text for text in drawn)
    assert not [text for text in drawn if "<script" in text or "<img" in text]


@pytest.mark.parametrize(
    "case",
    [
        Case(name="live", done=9),
        Case(name="new", done=0),
        Case(name="one", done=1),
        Case(name="clean", attack=None),
        Case(name="short", planned=3),
    ],
    ids=lambda case: case.name,
)
def test_runs_of_every_kind_make_a_page(tmp_path: Path, case: Case) -> None:
    page = Page(render([read_run(write_run(tmp_path / "x", case))]))
    assert (page.wrong, page.open) == ([], [])
    assert "ma-asr-figure" in page.figures


def test_runs_of_different_length_stand_side_by_side(
    tmp_path: Path, runs: list[RunView]
) -> None:
    others = [Case(name="live", done=9), Case(name="long", planned=40)]
    folders = [write_run(tmp_path / case.name, case) for case in others]
    page = Page(render([runs[2], *map(read_run, folders)]))
    curves = json.loads(page.figures["ma-asr-figure"])
    drawn = {t["name"]: len(t["x"]) for t in curves["data"] if t.get("yaxis") == "y"}
    assert list(drawn.values()) == [30, 9, 40]


def test_opens_with_a_defended_and_attacked_run(page: Page) -> None:
    shown = [
        attrs["data-run"]
        for tag, attrs in page.elements
        if attrs.get("class") == "panel" and "hidden" not in attrs
    ]
    assert shown == ["2"] * 3


def test_same_folders_give_the_same_bytes(folder_of_runs: Path, tmp_path: Path) -> None:
    one = write_report([folder_of_runs], tmp_path / "deep" / "one.html")
    two = write_report(sorted(folder_of_runs.iterdir()), tmp_path / "two.html")
    assert one == tmp_path / "deep" / "one.html"
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_mode & 0o777 == 0o644


def test_report_that_fails_leaves_the_old_one_and_nothing_else(
    folder_of_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("the old one")
    # A lone surrogate cannot be written as UTF-8: the write itself fails, half way.
    monkeypatch.setattr(html, "render", lambda runs: "x" * 100_000 + "\ud800")
    with pytest.raises(UnicodeEncodeError):
        write_report([folder_of_runs], out)
    assert out.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [out]


def test_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run folder"):
        write_report([], tmp_path / "x.html")
    with pytest.raises(BrokenRun):
        write_report([tmp_path], tmp_path / "x.html")


def test_runs_of_one_name_keep_apart(runs: list[RunView]) -> None:
    other = replace(runs[2], config={**runs[2].config, "seed": 1})
    page = Page(render([runs[2], other]))
    text = " ".join(page.text)
    assert "fedward, seed 0" in text
    assert "fedward, seed 1" in text


def test_wrong_verdicts_are_counted_in_defended_rounds(runs: list[RunView]) -> None:
    """The caption of the heat map counts what AER and BRR count."""
    (run,) = [run for run in runs if run.selects and run.attacked_rounds]
    defended = {record.round for record in run.rounds if record.defended}
    assert len(defended) < len(run.rounds)
    honest = [v for v in run.verdicts if v.round in defended and not v.malicious]
    rejected = sum(not verdict.accepted for verdict in honest)
    text = " ".join(Page(render([run])).text)
    assert f"{rejected} of {len(honest)} honest ones rejected" in text
