from pathlib import Path

import pytest

from fedward.bench.grid_file import read_grid
from fedward.data.partition import IID
from fedward.defenses import FedAvg, Fedward, Median
from fedward.settings import UnknownName
from fedward.simulation.config import is_clean, to_table
from fedward.simulation.presets import FASHION, MNIST

WHOLE = """
title = "Mine"
preset = "demo"
clean = false

[base]
rounds = 7
partition = { name = "iid" }
training = { epochs = 4 }

[axes]
dataset = ["mnist-small", "synthetic"]
"attackers.count" = [1, 2]
defense = ["median", "fedward:eps=kth"]
seed = [4, 5]
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_a_file_with_everything(tmp_path: Path) -> None:
    grid = read_grid(written(tmp_path, WHOLE))
    assert (grid.name, grid.title, len(grid.cells)) == ("mine", "Mine", 16)
    first, second = grid.cells[0].config, grid.cells[1].config
    assert (first.dataset, first.rounds, first.partition) == ("mnist-small", 7, IID())
    assert (first.training.epochs, first.training.lr) == (4, 0.02)
    assert (first.attackers.count, first.defense) == (1, Median())
    assert (first.seed, second.seed) == (4, 5)
    last = grid.cells[-1].config
    assert (last.dataset, last.attackers.count) == ("synthetic", 2)
    assert last.defense == Fedward(eps="kth")
    assert grid.cells[0].at["attackers.count"] == "1"


def test_a_data_set_without_preset_has_the_papers_protocol(tmp_path: Path) -> None:
    text = 'axes.dataset = ["mnist", "fashion-mnist"]\naxes.defense = ["fedavg"]\n'
    grid = read_grid(written(tmp_path, text))
    attacked = [cell.config for cell in grid.cells if not is_clean(cell.config)]
    assert [config.training for config in attacked] == [MNIST.training, FASHION.training]
    assert len(grid.cells) == 4


def test_seeds_and_defenses_of_the_command(tmp_path: Path) -> None:
    grid = read_grid(written(tmp_path, WHOLE), seeds=(7,), extra=("fedavg", "median"))
    assert {cell.config.seed for cell in grid.cells} == {7}
    kinds = [type(cell.config.defense) for cell in grid.cells[:3]]
    assert kinds == [Median, Fedward, FedAvg]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel = 'x'", "Did you mean 'title'"),
        ("title = 'x'", r"needs a table \[axes\] with lists of values, got None"),
        ("axes.nir = 25", "the axis nir of .*mine.toml needs a list of values, got 25"),
        ("axes.defence = ['fedavg']", "Did you mean 'defense'"),
        ("axes.defense = ['fedwart']", "Did you mean 'fedward'"),
        ("preset = 'dmo'\naxes.seed = [0]", "Did you mean 'demo'"),
        ("axes.dataset = ['mnst']", "Did you mean 'mnist'"),
        ("base.round = 3\naxes.seed = [0]", "Did you mean 'rounds'"),
        ("axes = ", "is not TOML"),
        ("title = 3", "title of the grid .*mine.toml needs to be a text, got 3"),
        ("preset = ['demo']", "preset .* needs to be the name of a preset, got"),
        ("base = 3", "base of .* needs to be a table of settings, got 3"),
        ("clean = 'no'", "clean of .* needs to be true or false, got 'no'"),
        ("axes = [1]", "axes of .* needs to be a table with lists of values, got"),
        ("axes.dataset = []", r"the axis dataset of .* needs a list of values, got \[\]"),
        ("axes.dataset = [[]]", r"data set needs a name, got \[\]"),
        ("axes.defense = [3]", "the axis defense needs a name or .*, got 3"),
        ("axes.attack = [false]", "the axis attack needs a name or .*, got False"),
        ("axes.pdr = ['much']", "PDR needs a percentage, got 'much'"),
        ("axes.pdr = [true]", "PDR needs a percentage, got True"),
        ("axes.seed = [true]", "seed needs a number, got true"),
        ("base.rounds = true\naxes.seed = [0]", "rounds needs a number, got true"),
        ("base.model = 3\naxes.seed = [0]", "model needs a name, got 3"),
    ],
)
def test_what_a_file_should_not_have(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((UnknownName, ValueError), match=message):
        read_grid(written(tmp_path, text))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"title = '\xff'")
    with pytest.raises(ValueError, match=r"mine\.toml is not TOML"):
        read_grid(file)


def test_an_axis_has_the_last_word(tmp_path: Path) -> None:
    text = """
        clean = false
        base = { dataset = "mnist" }
        [axes]
        dataset = ["mnist-small", "synthetic"]
        "partition.name" = ["dirichlet", "dirichlet-authors"]
        nir = [25]
    """
    cells = read_grid(written(tmp_path, text)).cells
    assert [cell.config.dataset for cell in cells] == ["mnist-small"] * 2 + [
        "synthetic"
    ] * 2
    kinds = [to_table(cell.config)["partition"]["name"] for cell in cells]
    assert kinds == ["dirichlet", "dirichlet-authors"] * 2
