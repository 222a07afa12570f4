import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from click.testing import Result
from pydantic import ValidationError
from typer.testing import CliRunner

from fedward.cli.data import (
    BAR_CELLS,
    DATA_HELP,
    LEVELS,
    bar,
    chosen_partition,
    columns,
    data,
    statistics,
)
from fedward.data.images import DataError
from fedward.data.partition import IID, Dirichlet, Grouped, class_mix, rarity
from fedward.data.sources import load
from fedward.settings import UnknownName

app = typer.Typer(rich_markup_mode=None)
app.command("data", help=DATA_HELP)(data)

TINY = ("synthetic", "--clients", "6", "--alpha", "0.5", "--seed", "3")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def ok(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def shown(output: str) -> dict[int, list[str]]:
    """The rows of clients, by client."""
    rows = [[cell.strip() for cell in line.split("│")] for line in output.splitlines()]
    return {int(row[1]): row[2:-1] for row in rows if len(row) > 2 and row[1].isdigit()}


def tiny_mix() -> torch.Tensor:
    labels = load("synthetic").train.labels
    return class_mix(Dirichlet(alpha=0.5)(labels, 10, 6, 3), labels, 10)


def test_rows_are_the_partition() -> None:
    output = ok(*TINY)
    mix, rows = tiny_mix(), shown(output)
    assert sorted(rows) == list(range(6))
    for client, (images, _, most, mixed, rare) in rows.items():
        counts = mix[client].tolist()
        assert images == str(sum(counts))
        assert most.startswith(f"spot {counts.index(max(counts))} (")
        assert f"({max(counts) / sum(counts):.0%})" in most
        assert [cell == LEVELS[0] for cell in mixed] == [count == 0 for count in counts]
        assert rare == f"{rarity(mix)[client]:.2f}"
    assert "600 training and 200 test images of 1 x 28 x 28, 10 classes" in output
    assert "dirichlet (alpha 0.5, min_size 1), 6 clients, seed 3: all images used" in output


def test_fits_into_80_columns() -> None:
    for arguments in (TINY, ("mnist-small",), ("mnist-small", "--clients", "9")):
        assert max(map(len, ok(*arguments).splitlines())) <= 80


def test_many_clients_are_summarised_unless_all_are_asked_for() -> None:
    short = ok("mnist-small", "--clients", "31")
    assert sorted(shown(short)) == [*range(10), *range(21, 31)]
    assert "11 clients are not shown; --all" in short
    whole = ok("mnist-small", "--clients", "31", "--all")
    assert sorted(shown(whole)) == list(range(31))
    assert "not shown" not in whole
    assert sorted(shown(ok("mnist-small", "--clients", "30"))) == list(range(30))


def test_says_how_many_images_the_authors_split_uses() -> None:
    output = ok("mnist-small", "--partition", "dirichlet-authors:alpha=0.5")
    labels = load("mnist-small").train.labels
    partition = chosen_partition("dirichlet-authors", {"alpha": 0.5})
    used = sum(map(len, partition(labels, 10, 100, 0)))
    assert used < 10_000
    assert f"100 clients, seed 0: {used:,} images used" in " ".join(output.split())


def test_json_holds_everything_and_nothing_else_is_printed(tmp_path: Path) -> None:
    out = tmp_path / "bars.html"
    told = json.loads(ok(*TINY, "--json", "--plot", str(out)))
    mix = tiny_mix()
    assert [client["mix"] for client in told["clients"]] == mix.tolist()
    assert [client["images"] for client in told["clients"]] == mix.sum(dim=1).tolist()
    assert [client["rarity"] for client in told["clients"]] == rarity(mix).tolist()
    assert told["partition"] == {"name": "dirichlet", "alpha": 0.5, "min_size": 1}
    assert (told["dataset"], told["train"], told["test"]) == ("synthetic", 600, 200)
    assert (told["held"], told["seed"], told["plot"]) == (600, 3, str(out))
    assert told["statistics"]["images"]["mean"] == 100.0
    assert out.exists()


def test_plot_is_written_and_named(tmp_path: Path) -> None:
    out = tmp_path / "bars.html"
    output = ok(*TINY, "--plot", str(out))
    assert str(out) in output.replace("\n", "")
    assert "synthetic, dirichlet (alpha 0.5, min_size 1), 6 clients" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "complaint"),
    [
        (("mnist-smal",), UnknownName, "Did you mean 'mnist-small'"),
        (
            ("synthetic", "--partition", "dirichlett"),
            UnknownName,
            "Did you mean 'dirichlet'",
        ),
        (
            ("synthetic", "--partition", "iid", "--q", "1"),
            UnknownName,
            "of partition 'iid'",
        ),
        (
            ("synthetic", "--partition", "dirichlet"),
            ValueError,
            "needs alpha, such as --alph",
        ),
        (
            ("synthetic", "--partition", "grouped", "--q", "2"),
            ValidationError,
            "equal to 1",
        ),
        (("synthetic", "--clients", "0"), ValueError, "at least 1 client, got 0"),
        (("mnist", "--data-dir", "/nowhere/at/all"), DataError, "/nowhere/at/all needs to"),
    ],
)
def test_errors_of_the_library_come_through(
    arguments: tuple[str, ...], error: type[ValueError], complaint: str
) -> None:
    result = call(*arguments)
    assert type(result.exception) is error
    assert complaint in str(result.exception)
    assert result.output == ""


def test_a_negative_seed_is_refused() -> None:
    result = call(*TINY[:-1], "-1")
    assert result.exit_code == 2
    assert "'--seed': -1" in result.output


def test_help_teaches() -> None:
    output = ok("--help")
    assert "Examples:" in output
    assert "Rarity is how far" in output
    for option in ("--partition", "--alpha", "--clients", "--seed", "--data-dir", "--plot"):
        assert option in output


@pytest.mark.parametrize("line", re.findall(r"^ +fedward data *(.*)$", DATA_HELP, re.M))
def test_examples_of_the_help_can_be_parsed(line: str, tmp_path: Path) -> None:
    # With a small set in place of one that may have to be downloaded.
    words = line.replace("shares.html", str(tmp_path / "shares.html")).split()
    ok(*["mnist-small" if word.endswith("mnist") else word for word in words])


def test_options_are_laid_over_the_text() -> None:
    laid: Any = chosen_partition("dirichlet:alpha=2:min_size=4", {"alpha": 0.25})
    assert laid == Dirichlet(alpha=0.25, min_size=4)
    assert chosen_partition("grouped:q=0.5", {}) == Grouped(q=0.5)
    assert chosen_partition("iid", {}) == IID()


def test_statistics_by_hand() -> None:
    found = statistics(torch.tensor([[4, 0], [0, 0], [1, 1]]))
    assert found["images"] == {
        "min": 0,
        "mean": 2,
        "max": 4,
        "sd": pytest.approx(8**0.5 / 3**0.5),
    }
    assert found["share of the largest class"]["max"] == 1.0
    assert found["share of the largest class"]["mean"] == 0.5
    assert found["classes held"]["mean"] == 1.0


def test_bars_by_hand() -> None:
    assert bar(0.0) == ""
    assert bar(1.0) == "█" * BAR_CELLS
    assert bar(0.5 + 1 / (8 * BAR_CELLS)) == "█" * (BAR_CELLS // 2) + "▏"
    assert columns([0, 1, 0]) == "·█·"
    # Eighths, rounded up: 1/2 is four of them, 3/8 three, 1/8 one; one image of a thousand
    # is still seen.
    assert columns([4, 3, 1]) == "▄▃▁"
    assert columns([999, 1]) == "█▁"
    assert columns([0, 0]) == "··"
