from pathlib import Path

import pytest
import torch

from fedward.data.partition import rarity
from fedward.report.partition_plot import (
    HUES,
    TEXTURES,
    partition_figure,
    write_partition_plot,
)

MIX = torch.tensor([[5, 0, 5], [0, 0, 0], [90, 0, 0], [1, 2, 1]])
CLASSES = ("boat", "<b>cat</b>", "dog")


def test_bars_are_the_mix() -> None:
    figure = partition_figure(MIX, CLASSES, "some set")
    assert figure.layout.barmode == "stack"
    assert [list(trace.y) for trace in figure.data] == MIX.T.tolist()
    assert all(list(trace.x) == ["0", "1", "2", "3"] for trace in figure.data)


def test_names_and_title_are_shown_as_they_are() -> None:
    figure = partition_figure(MIX, CLASSES, "a <i>set</i>")
    assert [trace.name for trace in figure.data] == [
        "boat",
        "&lt;b&gt;cat&lt;/b&gt;",
        "dog",
    ]
    assert "&lt;b&gt;cat" in figure.data[1].hovertemplate
    assert figure.layout.title.text == "a &lt;i&gt;set&lt;/i&gt;"


def test_hover_says_count_share_size_and_rarity() -> None:
    dog = partition_figure(MIX, CLASSES, "")
    rows = torch.tensor(dog.data[2].customdata, dtype=torch.float64)
    assert rows[:, 0].tolist() == [5, 0, 0, 1]
    assert rows[:, 1].tolist() == [0.5, 0, 0, 0.25]
    assert rows[:, 2].tolist() == [10, 0, 90, 4]
    assert torch.allclose(rows[:, 3], rarity(MIX))


def test_buttons_sort_and_scale() -> None:
    order, scale = partition_figure(MIX, CLASSES, "").layout.updatemenus
    sorted_by = {
        button.label: button.args[0]["xaxis.categoryarray"] for button in order.buttons
    }
    # Together 96, 2 and 6 of 104 images. Client 3 is the farthest from that; client 2 is
    # the closest but for the empty client, which counts as typical.
    assert sorted_by["by number"] == ["0", "1", "2", "3"]
    assert sorted_by["largest first"] == ["2", "0", "3", "1"]
    assert sorted_by["rarest first"] == ["3", "0", "2", "1"]
    assert [button.args[0]["barnorm"] for button in scale.buttons] == ["", "percent"]


def test_no_two_of_forty_classes_look_alike() -> None:
    count = len(HUES) * len(TEXTURES)
    mix = torch.ones(2, count, dtype=torch.int64)
    figure = partition_figure(mix, [f"class {k}" for k in range(count)], "")
    looks = {(trace.marker.color, trace.marker.pattern.shape) for trace in figure.data}
    assert len(looks) == count == 40


def test_file_opens_with_no_network(tmp_path: Path) -> None:
    out = tmp_path / "new" / "shares.html"
    write_partition_plot(MIX, CLASSES, "some set", out)
    page = out.read_text(encoding="utf-8")
    assert "<script src=" not in page
    assert "Plotly.newPlot" in page
    assert "some set" in page
    write_partition_plot(MIX, CLASSES, "some set", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"can be written, got .*(Is a directory)"):
        write_partition_plot(MIX, CLASSES, "", tmp_path)
