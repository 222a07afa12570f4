"""What stands in AutoOPTICS' place for comparison: DBSCAN, HDBSCAN, and no clustering."""

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fedward.ops.auto_optics import (
    EpsRule,
    Group,
    common_scale,
    eps_for,
    min_samples_for,
)
from fedward.ops.optics import rounded


def dbscan_group(
    distances: Float64[Tensor, "clients clients"], rule: EpsRule = "nearest-others"
) -> Group:
    """DBSCAN with AutoOPTICS' own ``eps`` and ``min_samples``; the largest cluster."""
    from sklearn.cluster import DBSCAN  # slow to import

    mins = min_samples_for(len(distances), rule)
    # eps is often one of the distances itself, so both are rounded alike.
    scale = common_scale(distances)
    eps = eps_for(distances, rule, scale)
    # scikit-learn wants eps > 0; clients that all agree are at distance 0 of each other.
    found = DBSCAN(eps=max(eps, torch.finfo(torch.float64).tiny), min_samples=mins)
    labels = torch.from_numpy(
        found.set_params(metric="precomputed").fit_predict(
            rounded(distances / scale).numpy()
        )
    )
    return Group(_largest(labels.long()), None, eps * scale, mins)


def hdbscan_group(distances: Float64[Tensor, "clients clients"]) -> Group:
    """HDBSCAN with a majority as the smallest cluster, as FLAME has it."""
    from sklearn.cluster import HDBSCAN  # slow to import

    mins = len(distances) // 2 + 1
    found = HDBSCAN(
        min_cluster_size=mins,
        min_samples=1,
        allow_single_cluster=True,
        metric="precomputed",
        copy=True,
    )
    labels = torch.from_numpy(found.fit_predict(distances.numpy()))
    return Group(_largest(labels.long()), None, torch.inf, mins)


def everybody(clients: int) -> Group:
    """No clustering: all are members."""
    return Group(torch.ones(clients, dtype=torch.bool), None, torch.inf, clients)


def _largest(labels: Int64[Tensor, " clients"]) -> torch.Tensor:
    """Members of the largest cluster, noise apart; the lower label of equals."""
    clustered = labels[labels >= 0]
    if len(clustered) == 0:
        return torch.zeros_like(labels, dtype=torch.bool)
    return labels == clustered.bincount().argmax()
