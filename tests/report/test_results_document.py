"""The tables of docs/results.md are written, never typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.fill_tables import MARKED, ROOT, filled

DOCUMENT = ROOT / "docs" / "results.md"
MARKER = "<!-- fedward report {} --markdown - -->\n{}<!-- end of table -->"


def test_the_documents_tables_are_those_of_the_results() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert len(MARKED.findall(text)) == text.count("<!-- end of table -->") >= 2
    assert filled(text) == text, "run: python scripts/fill_tables.py docs/results.md"


def test_a_number_of_a_result_is_in_its_table() -> None:
    made = filled(MARKER.format("results/mnist-nir50-pdr31", "stale\n"))
    stored = json.loads((ROOT / "results/mnist-nir50-pdr31/fedavg.json").read_text())
    assert f"| {100 * stored['metrics']['aasr']:.2f} |" in made
    assert "stale" not in made
    assert filled(made) == made


def test_text_around_tables_is_kept_and_tables_are_apart() -> None:
    one = MARKER.format("results/mnist-nir50-pdr31", "")
    two = MARKER.format("results/fashion-nir50-pdr31 results/demo", "old\n")
    made = filled(f"before\n{one}\nbetween\n{two}\nafter\n")
    first, second = made.split("\nbetween\n")
    assert first.startswith("before\n<!-- fedward")
    assert "**MNIST" in first
    assert "**Fashion-MNIST" not in first
    assert second.index("**Fashion-MNIST") < second.index("**mnist-small")
    assert made.endswith("\nafter\n")


def test_a_place_that_is_gone_is_named() -> None:
    with pytest.raises(ValueError, match=r"no results at .*gone"):
        filled(MARKER.format("results/gone", ""))


def test_check_fails_for_a_stale_document_and_writes_nothing(tmp_path: Path) -> None:
    stale = tmp_path / "stale.md"
    stale.write_text(MARKER.format("results/mnist-nir50-pdr31", "old\n"))
    command = [sys.executable, str(ROOT / "scripts" / "fill_tables.py")]
    done = subprocess.run(
        [*command, "--check", str(stale)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "stale.md" in done.stderr
    assert "old" in stale.read_text()
    subprocess.run([*command, str(stale)], check=True)
    assert stale.read_text() == filled(stale.read_text())
