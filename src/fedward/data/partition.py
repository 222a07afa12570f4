"""Who holds which training images: labels in, one shard of positions a client out.

Shards never share an image. Every choice comes from named streams of the seed, so a
partition can be drawn again at any time and is never stored.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from jaxtyping import Float64, Int64
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from fedward.data.shares import (
    authors_counts,
    dealt,
    dirichlet_shares,
    exact_counts,
    group_shares,
    redrawn,
)
from fedward.seeds import numpy_stream, stream
from fedward.settings import STRICT

LARGEST_ALPHA = 1e12
"""Shares are equal to the last image long before; much further the draw overflows."""


class Partition(Protocol):
    """A frozen dataclass of settings, called with the labels to be shared out."""

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """Positions in ``labels`` of every client's images, ascending.

        Raises:
            ValueError: if the images cannot be shared out in this way.
        """
        ...


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IID:
    """Equal random shares of all images; sizes differ by one at most."""

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """See `Partition`."""
        _require(labels, classes, clients)
        order = torch.randperm(len(labels), generator=stream(seed, "partition", "iid"))
        return [shard.sort().values for shard in order.tensor_split(clients)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Dirichlet:
    """Every class is shared out in proportions drawn from a symmetric Dirichlet; exact.

    Yurochkin et al., *Bayesian nonparametric federated learning of neural networks*, ICML
    2019, https://arxiv.org/abs/1905.12022; the redraw is that of Wang et al., NeurIPS 2020,
    https://arxiv.org/abs/2007.05084. All images are used; the whole draw is repeated until
    nobody has fewer than ``min_size``.

    Attributes:
        alpha: concentration; a small one gives every class to few clients, a large one
            tends to equal shares.
        min_size: fewest images a client may have.
    """

    alpha: float = Field(gt=0, le=LARGEST_ALPHA)
    min_size: int = Field(default=1, ge=0)

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """See `Partition`."""
        _require(labels, classes, clients, self.min_size)
        sizes = labels.bincount(minlength=classes)

        def draw(attempt: int) -> Int64[Tensor, "classes clients"]:
            path = ("partition", "dirichlet", attempt)
            return exact_counts(
                dirichlet_shares(self.alpha, classes, clients, seed, *path), sizes
            )

        counts = redrawn(draw, self.min_size, f"Dirichlet(alpha={self.alpha:g})")
        return dealt(labels, counts, seed, "dirichlet")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DirichletAuthors:
    """The Dirichlet split as Fedward's and DBA's public code rounds it.

    Xie et al., *DBA: distributed backdoor attacks against federated learning*, ICLR 2020.
    A client takes round(S p) images of every class, S being the size of class 0 for all
    classes, capped by what the clients before it have left. Some images stay unused. The
    original lets clients be empty; here the whole draw is then repeated.
    """

    alpha: float = Field(gt=0, le=LARGEST_ALPHA)

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """See `Partition`."""
        _require(labels, classes, clients)
        sizes = labels.bincount(minlength=classes)
        if not sizes[0]:
            raise ValueError(
                "the authors' Dirichlet split scales every share by the size of class 0, "
                "so it needs images of class 0, got none"
            )

        def draw(attempt: int) -> Int64[Tensor, "classes clients"]:
            path = ("partition", "dirichlet-authors", attempt)
            return authors_counts(
                dirichlet_shares(self.alpha, classes, clients, seed, *path), sizes
            )

        counts = redrawn(draw, 1, f"DirichletAuthors(alpha={self.alpha:g})")
        return dealt(labels, counts, seed, "dirichlet-authors")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Grouped:
    """Clients in as many groups as classes; an image goes to its class's group more often.

    Fang et al., *Local model poisoning attacks to Byzantine-robust federated learning*,
    USENIX Security 2020; Cao et al., *FLTrust*, NDSS 2021. An image of class l goes to
    group l with probability ``q``, to each other group with (1 - q) / (classes - 1), and
    there to a client by chance. Which clients form a group is chance too; groups differ in
    size by one at most. All images are used; the draw is repeated while a client is empty.

    Attributes:
        q: 1 / classes is IID, 1 gives a client one class only.
    """

    q: float = Field(ge=0, le=1)

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """See `Partition`."""
        _require(labels, classes, clients)
        if classes < 2 or clients < classes:
            raise ValueError(
                "Grouped needs two classes or more and a client for each, "
                f"got {classes} and {clients} clients"
            )

        sizes = labels.bincount(minlength=classes)
        order = torch.randperm(
            clients, generator=stream(seed, "partition", "grouped", "groups")
        )
        shares = group_shares(order % classes, classes, self.q)

        def draw(attempt: int) -> Int64[Tensor, "classes clients"]:
            generator = numpy_stream(seed, "partition", "grouped", attempt)
            return torch.from_numpy(generator.multinomial(sizes.numpy(), shares.numpy()))

        counts = redrawn(draw, 1, f"Grouped(q={self.q:g})")
        return dealt(labels, counts, seed, "grouped")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MainLabel:
    """Every client has a main class, and takes that share of its images from it.

    Nguyen et al., *FLAME*, USENIX Security 2022 (its degree of non-IID). Clients have equal
    sizes, to within one, and all images are used; main classes are dealt out evenly, by
    chance. A class with too few images for its clients is shared evenly among them and the
    gap filled like the rest, from what all main shares left over.

    Attributes:
        degree: 0 is IID, 1 gives a client its main class only.
    """

    degree: float = Field(ge=0, le=1)

    def __call__(
        self, labels: Int64[Tensor, " images"], classes: int, clients: int, seed: int
    ) -> list[Int64[Tensor, " _"]]:
        """See `Partition`."""
        _require(labels, classes, clients)
        generator = stream(seed, "partition", "main-label")
        order = torch.randperm(clients, generator=generator) % classes
        main = torch.randperm(classes, generator=generator)[order]
        whole, rest = divmod(len(labels), clients)
        sizes = whole + (torch.arange(clients) < rest).long()
        fair = labels.bincount(minlength=classes) // main.bincount(minlength=classes).clamp(
            1
        )
        counts = torch.zeros(classes, clients, dtype=torch.int64)
        # In single precision, 0.53 x 100 would be 52.
        wanted = torch.round(self.degree * sizes.double(), decimals=9).long()
        counts[main, torch.arange(clients)] = torch.minimum(wanted, fair[main])
        own = dealt(labels, counts, seed, "main-label")
        left = torch.ones(len(labels), dtype=torch.bool)
        left[torch.cat(own)] = False
        pool = torch.nonzero(left).flatten()
        pool = pool[torch.randperm(len(pool), generator=generator)]
        gaps = (sizes - counts.sum(dim=0)).tolist()
        return [
            torch.cat(parts).sort().values
            for parts in zip(own, pool.split_with_sizes(gaps), strict=True)
        ]


PARTITIONS: dict[str, type[Partition]] = {
    "iid": IID,
    "dirichlet": Dirichlet,
    "dirichlet-authors": DirichletAuthors,
    "grouped": Grouped,
    "main-label": MainLabel,
}


def class_mix(
    shards: Sequence[Int64[Tensor, " _"]],
    labels: Int64[Tensor, " images"],
    classes: int,
) -> Int64[Tensor, "clients classes"]:
    """Images of every class that every client holds."""
    return torch.stack([labels[shard].bincount(minlength=classes) for shard in shards])


def rarity(mix: Int64[Tensor, "clients classes"]) -> Float64[Tensor, " clients"]:
    """How far a client's class shares are from those of all clients together.

    The total-variation distance, half the sum of absolute differences: 0 for a typical
    client, near 1 for one whose classes hardly anybody else holds. A client without images
    has 0.
    """
    counts = mix.double()
    held = counts.sum(dim=1, keepdim=True)
    population = counts.sum(dim=0) / held.sum().clamp(min=1)
    distance = (counts / held.clamp(min=1) - population).abs().sum(dim=1) / 2
    return torch.where(held[:, 0] > 0, distance, 0.0)


def _require(
    labels: Int64[Tensor, " images"], classes: int, clients: int, min_size: int = 1
) -> None:
    if clients < 1:
        raise ValueError(f"a partition needs at least 1 client, got {clients}")
    if len(labels) < max(clients * min_size, 1):
        raise ValueError(
            f"{clients} clients with at least {min_size} image(s) each need "
            f"{max(clients * min_size, 1)} images, got {len(labels)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"labels of {classes} classes need to be 0 to {classes - 1}, "
            f"got {low} to {high}"
        )
