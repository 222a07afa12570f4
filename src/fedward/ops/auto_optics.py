"""AutoOPTICS, algorithm 2 of the Fedward paper: ``eps`` and group size from the data.

Line 4 of the algorithm has several readings; each is a named rule for ``eps``. The rows
are visited in a canonical order, so permuting the clients permutes the outcome and nothing
else.
"""

from dataclasses import dataclass
from functools import cmp_to_key
from typing import Literal

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from fedward.ops.optics import OpticsGraph, core_distances, dbscan_labels, optics, rounded

EpsRule = Literal["nearest-others", "kth", "authors"]


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


def eps_for(distances: Float64[Tensor, "clients clients"], rule: EpsRule) -> float:
    """Algorithm 2, lines 4 and 5.

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
        others = distances.clone().fill_diagonal_(torch.inf)
        values = others.sort(dim=1).values[:, :mins].flatten()
    elif rule == "kth":
        values = distances.sort(dim=1).values[:, mins - 1]
    else:
        values = distances.sort(dim=1).values[:, clients // 2]
    return float(rounded(values.quantile(0.5)[None])[0])


def canonical_order(
    rows: Float[Tensor, "clients params"],
    distances: Float64[Tensor, "clients clients"],
    min_samples: int,
) -> Int64[Tensor, " clients"]:
    """Rows by core distance, then by their sorted distances, then by content.

    Mutual neighbours have equal core distances, so ties are common; none is broken by the
    position of a row.
    """
    cores = core_distances(distances, min_samples).tolist()
    profiles = distances.sort(dim=1).values.tolist()

    def compare(i: int, j: int) -> int:
        mine, theirs = (cores[i], profiles[i]), (cores[j], profiles[j])
        if mine != theirs:
            return -1 if mine < theirs else 1
        differing = (rows[i] != rows[j]).nonzero()
        if len(differing) == 0:
            return 0
        first = int(differing[0])
        return -1 if rows[i, first] < rows[j, first] else 1

    return torch.tensor(sorted(range(len(rows)), key=cmp_to_key(compare)))


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
    rows: Float[Tensor, "clients params"],
    distances: Float64[Tensor, "clients clients"],
    count: int,
) -> Bool[Tensor, " clients"]:
    """The client with the smallest core distance and its nearest others, ``count`` in all.

    All that are as near as the last one are taken, so that no order decides.
    """
    first = int(canonical_order(rows, distances, count)[0])
    return distances[first] <= distances[first].kthvalue(count).values


def auto_optics(
    rows: Float[Tensor, "clients params"],
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
    # OPTICS rounds to a fixed number of decimals. Dividing by a power of two is exact, and
    # makes the rounding, and with it the outcome, independent of the updates' scale.
    scale = 2.0 ** float(distances.max().log2().ceil().nan_to_num(neginf=0.0))
    scaled = distances / scale
    eps = eps_for(scaled, rule)
    order = canonical_order(rows, scaled, mins)
    walked = optics(scaled[order][:, order], mins)
    back = order.argsort()
    graph = OpticsGraph(
        order[walked.ordering], walked.core_distances[back], walked.reachability[back]
    )
    members = majority_group(dbscan_labels(graph, eps), graph)
    unscaled = OpticsGraph(
        graph.ordering, graph.core_distances * scale, graph.reachability * scale
    )
    return Group(members, unscaled, eps * scale, mins)
