"""Random and awkward update matrices, for properties that must hold on all of them."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from fedward.layout import Layout

LAYERS = Layout(("conv", "bias", "fc"), ((3, 4), (5,), (2, 8)))
# Read once: while a strategy draws, hypothesis forbids the random spot checks of the types.
SLICES, PARAMS = LAYERS.slices, LAYERS.params


def make_matrix(seed: int, clients: int, kind: str) -> Tensor:
    """A (clients, 33) float32 matrix of the kind named."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(clients, PARAMS, generator=generator)
    if kind == "two groups":
        rows[clients // 2 + 1 :] += 4
    if kind == "duplicates":
        rows[1::2] = rows[0]
    if kind == "ties":
        rows = torch.randint(-1, 2, rows.shape, generator=generator).float()
    if kind == "zero rows":
        rows[:: max(2, clients // 3)] = 0
    if kind == "zero layers":
        rows[:, SLICES[1]] = 0
        rows[0, SLICES[2]] = -0.0
    if kind == "tiny":
        rows *= 1e-30
    if kind == "equal maxima":
        rows[:, [columns.start for columns in SLICES]] = 9.0
    return rows


KINDS = (
    "plain",
    "two groups",
    "duplicates",
    "ties",
    "zero rows",
    "zero layers",
    "tiny",
    "equal maxima",
)


@st.composite
def matrices(draw: st.DrawFn, fewest: int = 4) -> Tensor:
    """Matrices of 4 to 40 clients of every kind."""
    clients = draw(st.integers(fewest, 40))
    return make_matrix(
        draw(st.integers(0, 2**32 - 1)), clients, draw(st.sampled_from(KINDS))
    )
