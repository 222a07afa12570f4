"""How many images of every class a client gets, and which: the arithmetic of partitions."""

from collections.abc import Callable

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fedward.seeds import numpy_stream, stream

TRIES = 1000


def dirichlet_shares(
    alpha: float, classes: int, clients: int, seed: int, *path: str | int
) -> Float64[Tensor, "classes clients"]:
    """Shares of every class from a symmetric Dirichlet; rows sum to one."""
    generator = numpy_stream(seed, *path)
    return torch.from_numpy(generator.dirichlet([alpha] * clients, size=classes))


def exact_counts(
    shares: Float64[Tensor, "classes clients"], sizes: Int64[Tensor, " classes"]
) -> Int64[Tensor, "classes clients"]:
    """Images a client gets of every class; each class is cut at its cumulative shares.

    Rows sum to ``sizes``; an entry differs from share times size by less than one.
    """
    cuts = (shares.cumsum(dim=1) * sizes[:, None]).long()
    # The last cumulative share is one only up to rounding, but the class must be used up.
    cuts = cuts.minimum(sizes[:, None])
    cuts[:, -1] = sizes
    return cuts.diff(dim=1, prepend=torch.zeros_like(cuts[:, :1]))


def authors_counts(
    shares: Float64[Tensor, "classes clients"], sizes: Int64[Tensor, " classes"]
) -> Int64[Tensor, "classes clients"]:
    """Images a client gets of every class by the rounding of DBA's and Fedward's code.

    Every share is scaled by the size of class 0, rounded, and capped by what is left.
    """
    # Capping each client by what is left is the same as capping the running total.
    wanted = (shares * sizes[0]).round().long().cumsum(dim=1)
    taken = wanted.minimum(sizes[:, None])
    return taken.diff(dim=1, prepend=torch.zeros_like(taken[:, :1]))


def group_shares(
    group: Int64[Tensor, " clients"], classes: int, q: float
) -> Float64[Tensor, "classes clients"]:
    """Probability that an image of a class goes to a client; rows sum to one."""
    members = group.bincount(minlength=classes)[group]
    own = group == torch.arange(classes)[:, None]
    other = torch.full(own.shape, (1 - q) / (classes - 1), dtype=torch.float64)
    return other.masked_fill(own, q) / members


def redrawn(
    draw: Callable[[int], Int64[Tensor, "classes clients"]], min_size: int, who: str
) -> Int64[Tensor, "classes clients"]:
    """The first draw in which nobody has fewer images than ``min_size``.

    Raises:
        ValueError: if there is none among the first draws.
    """
    for attempt in range(TRIES):
        counts = draw(attempt)
        if int(counts.sum(dim=0).min()) >= min_size:
            return counts
    raise ValueError(
        f"{who} needs to give each of {counts.shape[1]} clients at least {min_size} "
        f"image(s), got a client with fewer in each of {TRIES} draws; use fewer clients or "
        "a more even split"
    )


def dealt(
    labels: Int64[Tensor, " images"],
    counts: Int64[Tensor, "classes clients"],
    seed: int,
    name: str,
) -> list[Int64[Tensor, " _"]]:
    """Shards with so many images of every class; which ones is chance."""
    parts: list[list[Tensor]] = [[] for _ in range(counts.shape[1])]
    for label, shares in enumerate(counts.tolist()):
        members = torch.nonzero(labels == label).flatten()
        generator = stream(seed, "partition", name, "deal", label)
        shuffled = members[torch.randperm(len(members), generator=generator)]
        taken = shuffled[: sum(shares)].split_with_sizes(shares)
        for own, part in zip(parts, taken, strict=True):
            own.append(part)
    return [torch.cat(own).sort().values for own in parts]
