"""The report as a browser sees it; skipped where there is no Chromium."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from fedward.report.html import write_report
from fedward.report.runs import RunView
from tests.needs import missing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module", autouse=True)
def _browser() -> None:
    if BROWSER is None:
        missing("Chromium")


FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-extensions",
    "--hide-scrollbars",
    "--window-size=1300,2000",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=60000",
    "--enable-logging=stderr",
    "--v=0",
    "--dump-dom",
)

# Does what a reader does, and writes down what is then on the page.
READER = """
<pre id="seen"></pre>
<script>
addEventListener("load", async () => {
  const settle = () => new Promise((done) => setTimeout(done, 500));
  const count = (plot, what) => plot.querySelectorAll(what).length;
  const seen = { plots: {} };
  const look = () => {
    for (const plot of document.querySelectorAll(".plot")) {
      if (plot.closest("[hidden]")) continue;
      seen.plots[plot.id] = {
        surfaces: count(plot, "svg.main-svg"),
        bars: count(plot, ".barlayer .point path"),
        lines: count(plot, ".scatterlayer .js-line"),
        marks: count(plot, ".scatterlayer .point"),
        legend: count(plot, ".legend .traces"),
        width: plot.querySelector("svg.main-svg")?.clientWidth ?? 0,
      };
    }
  };
  await settle();
  look();
  for (const tab of document.querySelectorAll("#verdicts [role=tab]")) {
    tab.click();
    await settle();
    look();
  }
  const heading = () => document.getElementById("walk-2-heading").value;
  const range = document.getElementById("walk-2-round");
  seen.opened = heading();
  range.value = "0";
  range.dispatchEvent(new Event("input"));
  await settle();
  seen.first = heading();
  document.getElementById("verdicts-2").emit("plotly_click", { points: [{ x: 9 }] });
  await settle();
  seen.clicked = heading();
  const paper = () => getComputedStyle(document.body).backgroundColor;
  seen.day = paper();
  document.getElementById("theme").click();
  await settle();
  seen.night = paper();
  seen.drawn = document.getElementById("ma-asr").dataset.drawn;
  seen.buttons = [...document.querySelectorAll("#ma-asr .modebar-btn")].map(
    (button) => button.dataset.title);
  seen.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  document.getElementById("seen").textContent = JSON.stringify(seen);
});
</script>
"""


@dataclass(frozen=True)
class Visit:
    """What a page said on the console, and what the reader saw."""

    console: list[str]
    seen: dict[str, Any]


def visit(page: Path, profile: Path) -> Visit:
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={profile}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    text = unescape(found[1]) if found else ""
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(console, json.loads(text) if text else {})


@pytest.fixture(scope="module")
def visited(folder_of_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    place = tmp_path_factory.mktemp("browser")
    page = write_report([folder_of_runs], place / "report.html")
    page.write_text(page.read_text().replace("</body>", f"{READER}</body>"))
    return visit(page, place / "profile")


def test_every_chart_is_drawn_with_all_its_data(
    visited: Visit, runs: list[RunView]
) -> None:
    plots = visited.seen["plots"]
    assert set(plots) == {
        "ma-asr", "aer-brr", "walk-2",
        *(f"{kind}-{i}" for kind in ("verdicts", "sizes") for i in range(3)),
    }  # fmt: skip
    for plot in plots.values():
        assert plot["surfaces"] >= 2
        assert plot["legend"] >= 1
        assert plot["width"] > 1000
    assert plots["ma-asr"]["lines"] == 2 * len(runs)
    for index, run in enumerate(runs):
        assert plots[f"verdicts-{index}"]["bars"] == len(run.verdicts) == 300
        recorded = [(v.norm, v.factor, v.distance) for v in run.verdicts]
        marks = sum(number is not None for numbers in recorded for number in numbers)
        assert plots[f"sizes-{index}"]["marks"] == marks
    assert plots["walk-2"]["bars"] == 10


def test_slider_and_click_open_a_round(visited: Visit) -> None:
    assert visited.seen["opened"].startswith("Round 29 ")
    assert visited.seen["first"].startswith("Round 5 ")
    assert visited.seen["clicked"].startswith("Round 9 ")


def test_theme_turns_page_and_charts(visited: Visit) -> None:
    assert (visited.seen["day"], visited.seen["night"]) == (
        "rgb(255, 255, 255)",
        "rgb(17, 21, 26)",
    )
    assert visited.seen["drawn"] == "dark"


def test_nothing_is_loaded_and_nothing_offered_to_be_sent_away(visited: Visit) -> None:
    assert visited.seen["loaded"] == []
    assert any("Download" in button for button in visited.seen["buttons"])
    assert not [
        b for b in visited.seen["buttons"] if re.search("share|cloud|edit", b.lower())
    ]


def test_page_does_not_scroll_sideways(visited: Visit) -> None:
    assert visited.seen["wide"] is False


def test_console_is_silent(visited: Visit) -> None:
    assert visited.console == []


def test_a_console_that_is_not_silent_would_be_heard(tmp_path: Path) -> None:
    page = tmp_path / "loud.html"
    page.write_text(
        "<!DOCTYPE html><body><script>console.error('first')</script>"
        "<script>throw new Error('second')</script></body>"
    )
    said = visit(page, tmp_path / "profile").console
    assert [word for line in said for word in ("first", "second") if word in line] == [
        "first",
        "second",
    ]
