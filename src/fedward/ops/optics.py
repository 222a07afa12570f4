"""OPTICS on a distance matrix, and the clusters that DBSCAN would extract from it.

Ankerst et al., *OPTICS: ordering points to identify the clustering structure*, SIGMOD 1999.
The walk, its ties (the earliest row wins) and its rounding to 15 decimals are those of
scikit-learn, so that labels can be compared with it row by row.

The matrix is the largest thing in memory: it is read in blocks of rows and never copied,
scaled or permuted as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

DECIMALS = 15

BLOCK = 1 << 21
"""Entries of a block of rows: 16 MiB of float64."""


def rounded(values: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
    """Rounded to 15 decimals as scikit-learn rounds, so that equal distances tie."""
    return torch.from_numpy(np.around(values.numpy(), decimals=DECIMALS))


@dataclass(frozen=True)
class OpticsGraph:
    """The walk over the points.

    Attributes:
        ordering: rows in the order of the visit.
        core_distances: distance to the ``min_samples``-th nearest point, itself counted.
        reachability: by row; infinite where the walk started.
    """

    ordering: Int64[Tensor, " clients"]
    core_distances: Float64[Tensor, " clients"]
    reachability: Float64[Tensor, " clients"]


def row_blocks(
    distances: Float64[Tensor, "clients clients"],
) -> Iterator[tuple[int, Float64[Tensor, "rows clients"]]]:
    """Views of consecutive rows and the number of the first, `BLOCK` entries at most."""
    height = max(1, BLOCK // max(1, len(distances)))
    for start in range(0, len(distances), height):
        yield start, distances[start : start + height]


def kth_of_rows(
    distances: Float64[Tensor, "clients clients"], k: int
) -> Float64[Tensor, " clients"]:
    """The ``k``-th smallest entry of every row, counted from 1."""
    parts = [
        np.partition(block.numpy(), k - 1, axis=1)[:, k - 1]
        for _, block in row_blocks(distances)
    ]
    return torch.from_numpy(np.concatenate(parts))


def core_distances(
    distances: Float64[Tensor, "clients clients"], min_samples: int, scale: float = 1.0
) -> Float64[Tensor, " clients"]:
    """Distance to the ``min_samples``-th nearest point, the point itself being the first.

    Args:
        scale: what the distances are divided by before they are rounded.

    Raises:
        ValueError: if ``min_samples`` is not between 1 and the number of points.
    """
    if not 1 <= min_samples <= len(distances):
        raise ValueError(
            f"OPTICS needs 1 <= min_samples <= {len(distances)} points, got {min_samples}"
        )
    return rounded(kth_of_rows(distances, min_samples) / scale)


def optics(distances: Float64[Tensor, "clients clients"], min_samples: int) -> OpticsGraph:
    """Visit every point, always going on to the one that is reachable most closely.

    Raises:
        ValueError: if ``min_samples`` is not between 1 and the number of points.
    """
    core = core_distances(distances, min_samples)
    return walk(distances, core, torch.arange(len(distances)))


def walk(
    distances: Float64[Tensor, "clients clients"],
    core: Float64[Tensor, " clients"],
    order: Int64[Tensor, " clients"],
    scale: float = 1.0,
) -> OpticsGraph:
    """The walk of `optics` over ``distances / scale``, rows looked at in ``order``.

    The same as permuting rows and columns by ``order`` first, walking, and naming the rows
    as they were; of equally close points the earliest in ``order`` is visited first.
    O(clients^2) time; beside the matrix a few rows are held.

    Args:
        core: `core_distances` by row, for the same scale.
    """
    matrix, rows = distances.numpy(), order.numpy()
    cores = core.numpy()[rows].tolist()
    count = len(rows)
    reachability = np.full(count, np.inf)
    frontier = np.full(count, np.inf)  # reachability; infinite again once visited
    bar = np.full(count, np.inf)  # reachability; once visited nothing is below it
    ordering = np.empty(count, dtype=np.int64)
    reach, closer = np.empty(count), np.empty(count, dtype=bool)
    for step in range(count):
        # argmin takes the earliest of equals, and would take a visited row if all that is
        # left is infinitely far; only then the earliest unvisited row is looked up.
        point = int(frontier.argmin())
        if bar[point] < 0:
            point = int((bar >= 0).argmax())
        reachability[point] = bar[point]
        frontier[point], bar[point] = np.inf, -np.inf
        ordering[step] = point
        np.take(matrix[rows[point]], rows, out=reach, mode="clip")  # "raise" would copy
        reach /= scale
        np.maximum(reach, cores[point], out=reach)
        np.around(reach, decimals=DECIMALS, out=reach)
        np.less(reach, bar, out=closer)
        np.copyto(bar, reach, where=closer)
        np.copyto(frontier, reach, where=closer)
    named = np.empty(count)
    named[rows] = reachability
    return OpticsGraph(torch.from_numpy(rows[ordering]), core, torch.from_numpy(named))


def dbscan_labels(graph: OpticsGraph, eps: float) -> Int64[Tensor, " clients"]:
    """Clusters at distance ``eps``, numbered from 0 in the order of the walk; noise is -1.

    A point that is farther than ``eps`` from what was walked starts a cluster if it is a
    core point and is noise otherwise; any other point joins the current cluster.
    """
    far_reach = graph.reachability > eps
    near_core = graph.core_distances <= eps
    starts = far_reach & near_core
    labels = torch.empty_like(graph.ordering)
    labels[graph.ordering] = starts[graph.ordering].long().cumsum(0) - 1
    labels[far_reach & ~near_core] = -1
    return labels
