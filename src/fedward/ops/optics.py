"""OPTICS on a distance matrix, and the clusters that DBSCAN would extract from it.

Ankerst et al., *OPTICS: ordering points to identify the clustering structure*, SIGMOD 1999.
The walk, its ties (the earliest row wins) and its rounding to 15 decimals are those of
scikit-learn, so that labels can be compared with it row by row.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

DECIMALS = 15


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


def core_distances(
    distances: Float64[Tensor, "clients clients"], min_samples: int
) -> Float64[Tensor, " clients"]:
    """Distance to the ``min_samples``-th nearest point, the point itself being the first.

    Raises:
        ValueError: if ``min_samples`` is not between 1 and the number of points.
    """
    if not 1 <= min_samples <= len(distances):
        raise ValueError(
            f"OPTICS needs 1 <= min_samples <= {len(distances)} points, got {min_samples}"
        )
    return rounded(distances.kthvalue(min_samples, dim=1).values)


def optics(distances: Float64[Tensor, "clients clients"], min_samples: int) -> OpticsGraph:
    """Visit every point, always going on to the one that is reachable most closely.

    O(clients^2) time; no copy of the matrix beyond one row a step.

    Raises:
        ValueError: if ``min_samples`` is not between 1 and the number of points.
    """
    core = core_distances(distances, min_samples)
    count = len(distances)
    reachability = np.full(count, np.inf)
    frontier = np.full(count, np.inf)
    visited = np.zeros(count, dtype=bool)
    ordering = np.empty(count, dtype=np.int64)
    for step in range(count):
        # argmin takes the earliest of equals, and would take a visited row if all that is
        # left is infinitely far; only then the earliest unvisited row is looked up.
        point = int(np.argmin(frontier))
        if visited[point]:
            point = int(np.argmin(visited))
        visited[point] = True
        frontier[point] = np.inf
        ordering[step] = point
        reach = np.maximum(distances[point].numpy(), core[point].item())
        np.around(reach, decimals=DECIMALS, out=reach)
        closer = (reach < reachability) & ~visited
        reachability[closer] = reach[closer]
        frontier[closer] = reach[closer]
    return OpticsGraph(torch.from_numpy(ordering), core, torch.from_numpy(reachability))


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
