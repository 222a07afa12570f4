"""Table I against its own text: every sentence of section V about the table is a check.

Where text and table disagree, the disagreement is written down, so that nobody takes it for
a slip of ours.
"""

from itertools import product

import pytest

from fedward.bench.paper import (
    DATASETS,
    ESCAPES,
    METHODS,
    NIRS,
    PDRS,
    VARIANTS,
    Place,
    escape,
    published,
    table1,
)
from fedward.data.sources import DATASETS as OUR_DATASETS
from fedward.defenses import DEFENSES

MNIST, FASHION, CIFAR10 = DATASETS.values()


def aasr(dataset: str, nir: str, pdr: float, method: str) -> float:
    """In percent, as printed."""
    return round(100 * table1()[Place(dataset, nir, pdr, method)].aasr, 2)


def row(dataset: str, pdr: float, method: str) -> list[tuple[float, float]]:
    """AASR and MA over the non-IID rates, in percent, as a line of the table has them."""
    cells = [table1()[Place(dataset, nir, pdr, method)] for nir in NIRS]
    return [(round(100 * c.aasr, 2), round(100 * c.ma, 2)) for c in cells]


def rates(dataset: str, method: str) -> list[float]:
    return [aasr(dataset, nir, pdr, method) for nir, pdr in product(NIRS, PDRS)]


def test_no_cell_is_missing_and_none_is_made_up() -> None:
    whole = {
        Place(*axes) for axes in product(DATASETS.values(), NIRS, PDRS, METHODS.values())
    }
    assert set(table1()) == whole
    assert len(whole) == 216
    for cell in table1().values():
        assert 0 < cell.aasr < 1
        assert 0.5 < cell.ma < 1


def test_names_are_ours() -> None:
    assert set(DATASETS.values()) <= set(OUR_DATASETS)
    assert set(METHODS.values()) | set(VARIANTS) <= set(DEFENSES)
    assert set(VARIANTS.values()) <= set(METHODS.values())
    assert all(name.endswith("-authors") for name in VARIANTS)
    assert {name for name in DEFENSES if name.endswith("-authors")} == set(VARIANTS)


@pytest.mark.parametrize(
    ("dataset", "pdr", "method", "printed"),
    [
        (
            MNIST,
            15.625,
            "median",
            [(0.72, 97.65), (1.89, 97.29), (2.6, 97.2), (1.2, 97.68)],
        ),
        (
            MNIST,
            31.25,
            "fedward",
            [(0.8, 97.69), (1.59, 96.74), (0.92, 97.08), (1.55, 97.1)],
        ),
        (
            FASHION,
            31.25,
            "fedcc",
            [(8.25, 86.12), (94.03, 83.91), (73.51, 81.02), (9.92, 83.68)],
        ),
        (
            CIFAR10,
            46.875,
            "fedward",
            [(2.15, 75.34), (5.89, 65.43), (4.16, 68.8), (4.41, 71.52)],
        ),
        (
            CIFAR10,
            15.625,
            "crfl",
            [(69.57, 70.61), (76.88, 61.67), (80.98, 63.7), (79.48, 65.28)],
        ),
    ],
)
def test_rows_at_the_corners_and_inside(
    dataset: str, pdr: float, method: str, printed: list[tuple[float, float]]
) -> None:
    assert row(dataset, pdr, method) == printed


def test_what_the_text_says_of_trimmed_mean() -> None:
    mnist, fashion, cifar10 = (rates(d, "trimmed-mean") for d in DATASETS.values())
    assert (min(mnist), max(mnist)) == (91.64, 98.53)
    assert (min(cifar10), max(cifar10)) == (87.87, 94.34)
    assert min(fashion) == 55.7
    # The text ends the range of Fashion-MNIST with 86.59; two cells of the table lie above.
    assert 86.59 in fashion
    assert sorted(fashion)[-2:] == [88.4, 88.86]


def test_what_the_text_says_of_crfl_median_and_flame() -> None:
    assert aasr(MNIST, "iid", 15.625, "crfl") == 3.0
    assert aasr(MNIST, "25", 15.625, "crfl") == 67.19
    assert max(rates(MNIST, "median")) == aasr(MNIST, "25", 46.875, "median") == 10.72
    assert aasr(CIFAR10, "25", 31.25, "flame") == 45.65
    assert aasr(CIFAR10, "25", 31.25, "fedward") == 9.67
    assert aasr(MNIST, "75", 15.625, "fedward") == 0.82


def test_fedward_has_the_best_aasr_everywhere_as_the_text_says() -> None:
    for place, cell in table1().items():
        best = table1()[Place(place.dataset, place.nir, place.pdr, "fedward")].aasr
        assert place.method == "fedward" or cell.aasr > best


def test_gains_over_flame_span_what_the_text_says_but_for_one_cell() -> None:
    gains = sorted(
        round(flame - fedward, 2)
        for dataset in DATASETS.values()
        for flame, fedward in zip(
            rates(dataset, "flame"), rates(dataset, "fedward"), strict=True
        )
    )
    # The text begins with 0.07; MNIST, NIR 75, PDR 31.25 has 1.59 against 1.55.
    assert (gains[:2], gains[-1]) == ([0.04, 0.07], 67.25)


@pytest.mark.parametrize(
    # The abstract says 90.74 for Fashion-MNIST; no two cells of the table are so far apart.
    ("dataset", "gain"),
    [(MNIST, 96.98), (FASHION, 90.39), (CIFAR10, 89.8)],
)
def test_largest_gains_of_the_abstract(dataset: str, gain: float) -> None:
    largest = max(
        aasr(dataset, nir, pdr, method) - aasr(dataset, nir, pdr, "fedward")
        for nir, pdr, method in product(NIRS[1:], PDRS, METHODS.values())
    )
    assert largest == pytest.approx(gain, abs=1e-9)


def test_the_least_alike_split_has_the_lowest_accuracy() -> None:
    """Why 25 % is read as the most heterogeneous: a concentration, not a share."""
    for dataset in DATASETS.values():
        summed = {
            nir: sum(
                table1()[Place(dataset, nir, pdr, method)].ma
                for pdr, method in product(PDRS, METHODS.values())
            )
            for nir in NIRS
        }
        assert min(summed, key=lambda nir: summed[nir]) == "25"


def test_escape_rates_of_the_text() -> None:
    assert escape(Place(FASHION, "25", 31.25, "fedward")) == ESCAPES[1]
    assert (ESCAPES[1].aer, ESCAPES[1].about) == (0.1424, False)
    for nir, pdr in product(NIRS, PDRS):
        clean = escape(Place(MNIST, nir, pdr, "fedward"))
        assert clean is not None
        assert clean.aer == 0.0
    assert [e.aer for e in ESCAPES] == [0.0, 0.1424, 0.0464, 0.345, 0.2392, 0.76]
    assert [len(e.places) for e in ESCAPES] == [12, 1, 1, 1, 1, 27]
    assert escape(Place(FASHION, "iid", 15.625, "fedcc")) is None
    assert escape(Place(FASHION, "50", 31.25, "fedward")) is None


def test_no_place_has_two_escape_rates() -> None:
    named = [place for stated in ESCAPES for place in stated.places]
    assert len(named) == len(set(named))
    assert set(named) <= set(table1())


def test_variants_stand_beside_their_method() -> None:
    for variant, method in VARIANTS.items():
        place, own = (Place(CIFAR10, "25", 46.875, name) for name in (variant, method))
        assert published(place) == published(own) == table1()[own]
        assert escape(place) == escape(own)


@pytest.mark.parametrize(
    "place",
    [
        Place(MNIST, "25", 46.875, "fedavg"),
        Place(MNIST, "10", 46.875, "fedward"),
        Place(MNIST, "25", 50.0, "fedward"),
        Place("mnist-small", "25", 46.875, "fedward"),
    ],
)
def test_what_the_paper_does_not_have_is_none(place: Place) -> None:
    assert published(place) is None
    assert escape(place) is None
