import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fedward.seeds import derive, numpy_stream, stream

names = st.sampled_from(["", "a", "b", "ab", "1", "round"])
paths = st.lists(names | st.integers(-2, 2), max_size=4)


def test_derivation_is_the_documented_one() -> None:
    """SHA-256 of the path's repr, its first eight bytes, sign bit dropped."""
    text = b"(3, 'round', 7)"
    expected = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") // 2
    assert derive(3, "round", 7) == expected


@given(st.integers(0, 3), paths, st.integers(0, 3), paths)
def test_paths_share_a_seed_only_when_equal(
    seed: int, path: list[str | int], other_seed: int, other: list[str | int]
) -> None:
    same = (seed, path) == (other_seed, other)
    assert (derive(seed, *path) == derive(other_seed, *other)) == same


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a", "b"), ("ab",)),
        (("a", "b"), ("b", "a")),
        ((1,), ("1",)),
        (("a", 1), ("a", 1, "")),
        ((), ("",)),
    ],
)
def test_every_element_counts_with_its_type_and_place(
    left: tuple[str | int, ...], right: tuple[str | int, ...]
) -> None:
    assert derive(0, *left) != derive(0, *right)


@given(st.integers(0, 2**63), paths)
def test_derived_seeds_suit_torch_and_numpy(seed: int, path: list[str | int]) -> None:
    assert 0 <= derive(seed, *path) < 2**63
    stream(seed, *path)
    numpy_stream(seed, *path)


def test_streams_do_not_depend_on_other_draws() -> None:
    lonely = torch.rand(5, generator=stream(1, "b"))
    first = stream(1, "a")
    torch.rand(1000, generator=first)
    torch.manual_seed(5)
    assert torch.rand(5, generator=stream(1, "b")).equal(lonely)
    assert not torch.rand(5, generator=stream(1, "a")).equal(lonely)


def test_numpy_streams_repeat_and_differ() -> None:
    draws = numpy_stream(1, "split").dirichlet(np.ones(4))
    assert (numpy_stream(1, "split").dirichlet(np.ones(4)) == draws).all()
    assert (numpy_stream(2, "split").dirichlet(np.ones(4)) != draws).all()


def test_seeds_are_the_same_in_another_process() -> None:
    """Python's own hash of strings is salted anew in every process; ours must not be."""
    code = "from fedward.seeds import derive; print(derive(7, 'round', 3, 'client', 1))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert int(output) == derive(7, "round", 3, "client", 1)
