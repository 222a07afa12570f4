"""What a defence remembers of every client, as named tensors with one row a client.

``clients`` holds the identities in ascending order; the other tensors have a row for each.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

Memory = Mapping[str, Tensor]


def recall(
    memory: Memory, name: str, clients: Int64[Tensor, " clients"], fresh: Tensor
) -> Shaped[Tensor, "clients ..."]:
    """The remembered row of every client, a copy; ``fresh`` for those never seen."""
    rows = fresh.expand(len(clients), *fresh.shape).clone()
    if "clients" in memory:
        known = {client: row for row, client in enumerate(memory["clients"].tolist())}
        for row, client in enumerate(clients.tolist()):
            if client in known:
                rows[row] = memory[name][known[client]]
    return rows


def remember(
    memory: Memory,
    clients: Int64[Tensor, " clients"],
    **rows: Shaped[Tensor, "clients ..."],
) -> dict[str, Tensor]:
    """A new memory with these rows; clients that are not in the round keep theirs."""
    clients = clients.cpu()
    before = memory.get("clients", clients[:0])
    everybody = torch.unique(torch.cat([before, clients]))
    merged = {"clients": everybody}
    for name, new in rows.items():
        table = new.new_zeros(len(everybody), *new.shape[1:])
        if len(before):
            table[torch.searchsorted(everybody, before)] = memory[name]
        table[torch.searchsorted(everybody, clients)] = new
        merged[name] = table
    return merged
