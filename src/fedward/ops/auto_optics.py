"""AutoOPTICS, algorithm 2 of the Fedward paper: ``eps`` and group size from the data.

Line 4 of the algorithm has several readings; each is a named rule for ``eps``. The rows
are visited in a canonical order, so permuting the clients permutes the outcome and nothing
else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cmp_to_key, lru_cache
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from fedward.ops.blocks import paired_blocks
from fedward.ops.middle import middle_two
from fedward.ops.optics import (
    BLOCK,
    OpticsGraph,
    core_distances,
    dbscan_labels,
    kth_of_rows,
    rounded,
    row_blocks,
    walk,
)

EpsRule = Literal["nearest-others", "kth", "authors"]

REACH = 2.0**20
"""How many times the majority's own distances may set the unit of the rounding."""


@runtime_checkable
class Content(Protocol):
    """One-dimensional tensors of one length by the number of the row; a matrix is one."""

    def __getitem__(self, row: int, /) -> Tensor:
        """What makes the row recognisable."""
        ...


@dataclass(frozen=True)
class Group:
    """The outcome of a clustering.

    Attributes:
        members: the majority group; all false when there is no cluster.
        graph: the OPTICS walk, by the caller's rows; None for other clusterings.
        eps: the distance at which clusters were cut; infinite where nothing is cut.
        min_samples: neighbours, itself counted, that make a core point.
    """

    members: Bool[Tensor, " clients"]
    graph: OpticsGraph | None
    eps: float
    min_samples: int


def min_samples_for(clients: int, rule: EpsRule) -> int:
    """Algorithm 2, line 3: ceil(m/2) + 1; the authors' code has m // 2."""
    return clients // 2 if rule == "authors" else -(-clients // 2) + 1


def common_scale(distances: Float64[Tensor, "clients clients"]) -> float:
    """What distances are divided by, since OPTICS rounds to a fixed number of decimals.

    A power of two, so that dividing is exact: the one at or above the largest distance,
    which makes the rounding independent of the updates' scale; but at most `REACH` times
    the one above the distances inside the majority. A single client could otherwise lie so
    far away that all others round to one point.
    """
    largest = _power_above(float(distances.max()))
    nearest = min(
        float(block.where(block > 0, torch.inf).min()) for _, block in row_blocks(distances)
    )
    if nearest * REACH >= largest or nearest == torch.inf:
        return largest
    # More than half are honest, so an honest row's m // 2 nearest, itself counted, need no
    # attacker, and the lower median over the rows is no larger than one of theirs.
    inside = float(kth_of_rows(distances, len(distances) // 2).median())
    return min(largest, REACH * _power_above(inside or nearest))


def _power_above(distance: float) -> float:
    """The power of two at or above a distance; 1 for none."""
    return 2.0 ** math.ceil(math.log2(distance)) if distance > 0 else 1.0


def eps_for(
    distances: Float64[Tensor, "clients clients"], rule: EpsRule, scale: float = 1.0
) -> float:
    """Algorithm 2, lines 4 and 5, of ``distances / scale``.

    * ``nearest-others``: each row's ``mins`` nearest others, median of all of them.
    * ``kth``: each row's ``mins``-th nearest counting itself, median over the rows.
    * ``authors``: each row's entry m // 2 in ascending order, itself being entry 0, median
      over the rows.

    The median of an even number of values is the mean of the middle two. The result is
    rounded like the distances that it is compared with.
    """
    clients = len(distances)
    mins = min_samples_for(clients, rule)
    if rule == "nearest-others":
        nearest = min(mins, clients)
        middle = middle_two(lambda: _nearest_others(distances, nearest), clients * nearest)
        values = torch.tensor(middle, dtype=torch.float64)
    elif rule == "kth":
        values = kth_of_rows(distances, mins)
    else:
        values = kth_of_rows(distances, clients // 2 + 1)
    return float(rounded((values / scale).quantile(0.5)[None])[0])


def _nearest_others(
    distances: Float64[Tensor, "clients clients"], count: int
) -> Iterator[NDArray[np.float64]]:
    """Every row's smallest distances to others, a block of rows at a time."""
    for start, block in row_blocks(distances):
        others = block.numpy().copy()
        within = np.arange(len(others))
        others[within, start + within] = np.inf
        others.partition(count - 1, axis=1)
        yield np.ascontiguousarray(others[:, :count])


def canonical_order(
    rows: Content,
    distances: Float64[Tensor, "clients clients"],
    core: Float64[Tensor, " clients"],
) -> Int64[Tensor, " clients"]:
    """Rows by core distance, then by their sorted distances, then by content.

    Mutual neighbours have equal core distances, so ties are common; none is broken by the
    position of a row.
    """
    cores = core.numpy()
    order = cores.argsort(kind="stable")
    ends = np.flatnonzero(np.diff(cores[order], append=np.nan))
    start = 0
    for end in (ends + 1).tolist():
        if end - start > 1:
            order[start:end] = _untied(rows, distances, order[start:end].tolist())
        start = end
    return torch.from_numpy(order)


def _untied(
    rows: Content,
    distances: Float64[Tensor, "clients clients"],
    tied: list[int],
) -> list[int]:
    """Rows of equal core distance in their canonical order."""

    # Most ties are between two rows; only of large groups is a profile made again.
    @lru_cache(maxsize=2 + BLOCK // len(distances))
    def profile(row: int) -> NDArray[np.float64]:
        return np.sort(distances[row].numpy())

    def compare(i: int, j: int) -> int:
        mine, theirs = profile(i), profile(j)
        apart = (mine != theirs).argmax()
        if mine[apart] != theirs[apart]:
            return -1 if mine[apart] < theirs[apart] else 1
        return _compare_content(rows[i], rows[j])

    return sorted(tied, key=cmp_to_key(compare))


def _compare_content(
    left: Shaped[Tensor, " content"], right: Shaped[Tensor, " content"]
) -> int:
    """-1, 0 or 1 as the first differing entry says."""
    for mine, theirs in paired_blocks(left, right):
        differing = mine != theirs
        if differing.any():
            first = int(differing.nonzero()[0])
            return -1 if mine[first] < theirs[first] else 1
    return 0


def majority_group(
    labels: Int64[Tensor, " clients"], graph: OpticsGraph
) -> Bool[Tensor, " clients"]:
    """The largest cluster; all false when every point is noise.

    Of equally large ones the one with the smaller mean reachability wins (the walk's start,
    which has none, is left out), then the one with the smallest core distance.
    """
    best: tuple[float, float, float] | None = None
    members = torch.zeros_like(labels, dtype=torch.bool)
    for label in range(int(labels.max()) + 1):
        inside = labels == label
        reach = graph.reachability[inside]
        mean_reach = reach[reach.isfinite()].mean().nan_to_num(nan=torch.inf)
        rank = (
            -float(inside.sum()),
            float(mean_reach),
            float(graph.core_distances[inside].min()),
        )
        if best is None or rank < best:
            best, members = rank, inside
    return members


def densest(
    rows: Content,
    distances: Float64[Tensor, "clients clients"],
    count: int,
) -> Bool[Tensor, " clients"]:
    """The client with the smallest core distance and its nearest others, ``count`` in all.

    All that are as near as the last one are taken, so that no order decides.
    """
    core = core_distances(distances, count)
    tied = (core == core.min()).nonzero().flatten().tolist()
    first = _untied(rows, distances, tied)[0]
    return distances[first] <= distances[first].kthvalue(count).values


def auto_optics(
    rows: Content,
    distances: Float64[Tensor, "clients clients"],
    rule: EpsRule = "nearest-others",
) -> Group:
    """The majority group of the clients.

    Args:
        rows: what makes a client recognisable, to break ties between equal distances.
        distances: Euclidean distances of the clients' vectors.
        rule: reading of algorithm 2, line 4.

    Raises:
        ValueError: for fewer than four clients.
    """
    clients = len(distances)
    if clients < 4:
        raise ValueError(f"AutoOPTICS needs at least 4 clients, got {clients}")
    mins = min_samples_for(clients, rule)
    scale = common_scale(distances)
    eps = eps_for(distances, rule, scale)
    core = core_distances(distances, mins, scale)
    graph = walk(distances, core, canonical_order(rows, distances, core), scale)
    members = majority_group(dbscan_labels(graph, eps), graph)
    unscaled = OpticsGraph(
        graph.ordering, graph.core_distances * scale, graph.reachability * scale
    )
    return Group(members, unscaled, eps * scale, mins)
