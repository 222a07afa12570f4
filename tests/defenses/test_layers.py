import pytest

from fedward.defenses.layers import weight_matrix
from fedward.layout import Layout
from fedward.models import CifarNet, MnistNet
from tests.defenses.rounds import LAYOUT


def test_worked_case() -> None:
    assert [weight_matrix(LAYOUT, back) for back in range(4)] == [
        "fc2.weight",
        "fc1.weight",
        "conv.weight",
        "conv.weight",
    ]


def test_the_models_of_the_paper() -> None:
    assert weight_matrix(Layout.of(MnistNet(1, 10)), 1) == "fc1.weight"
    assert weight_matrix(Layout.of(CifarNet(3, 10)), 1) == "fc2.weight"
    assert weight_matrix(Layout.of(CifarNet(3, 10)), 0) == "fc3.weight"


def test_layouts_without_a_matrix_are_refused() -> None:
    with pytest.raises(ValueError, match="the layers are all"):
        weight_matrix(Layout.flat(7), 0)
