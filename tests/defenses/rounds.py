"""Small rounds: ten clients, a model of three weight matrices and their biases."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fedward.layout import Layout
from fedward.protocol import Round
from fedward.seeds import stream

LAYOUT = Layout(
    ("conv.weight", "conv.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"),
    ((4, 2, 3), (4,), (6, 8), (6,), (5, 6), (5,)),
)


def make_round(
    updates: Tensor,
    *,
    params: Tensor | None = None,
    clients: Tensor | None = None,
    layout: Layout = LAYOUT,
    index: int = 0,
    seed: int = 0,
    memory: Mapping[str, Tensor] | None = None,
) -> Round:
    if params is None:
        params = torch.randn(layout.params, generator=stream(99, "params"))
    return Round(
        updates=updates,
        weights=torch.ones(len(updates)),
        params=params.to(updates.dtype),
        layout=layout,
        clients=torch.arange(len(updates)) if clients is None else clients,
        index=index,
        generator=stream(seed, "defense"),
        memory=memory or {},
    )


def honest_rows(
    clients: int = 10, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """A common direction and everyone's own noise, no two clients equally long."""
    generator = stream(seed, "honest")
    common = torch.randn(LAYOUT.params, generator=generator)
    own = torch.randn(clients, LAYOUT.params, generator=generator)
    lengths = 0.1 * (1 + torch.rand(clients, 1, generator=generator))
    return (lengths * (common + 0.7 * own)).to(dtype)


def mixed_rows(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Seven honest rows and three attackers that push elsewhere, the attackers first."""
    generator = stream(seed, "attack")
    target = torch.randn(LAYOUT.params, generator=generator)
    own = torch.randn(3, LAYOUT.params, generator=generator)
    attack = 0.3 * target + 0.05 * own
    return torch.cat([attack.to(dtype), honest_rows(7, seed, dtype)])
