"""2-means without chance: exact on a line, well seeded anywhere else.

Library implementations start from random centres, so their answer depends on a seed and on
the order of the rows; a defence's must not.
"""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

LLOYD_STEPS = 100


def two_means_1d(values: Float64[Tensor, " clients"]) -> Bool[Tensor, " clients"]:
    """Whether each value belongs to the upper of the two clusters, at the least inertia.

    Optimal clusters on a line are intervals, so every gap between sorted values is tried.
    Equal values stay together; of equally good splits the lowest is taken. When all values
    are equal, everything is in the upper cluster.
    """
    ordered = values.sort().values
    gaps = (ordered[1:] > ordered[:-1]).nonzero().flatten() + 1
    if len(gaps) == 0:
        return torch.ones_like(values, dtype=torch.bool)
    centred = ordered - ordered.mean()
    inertia = torch.stack([_inertia(centred[:k]) + _inertia(centred[k:]) for k in gaps])
    return values >= ordered[gaps[inertia.argmin()]]


def _inertia(values: Float64[Tensor, " some"]) -> Float64[Tensor, ""]:
    return (values - values.mean()).square().sum()


def two_means(squares: Float64[Tensor, "clients clients"]) -> Bool[Tensor, " clients"]:
    """Whether each row belongs to the second of two clusters, from squared distances.

    Lloyd's iteration from every client and the client farthest from it; the outcome with
    the least inertia. When all distances are zero, nobody does.
    """
    clients = len(squares)
    firsts, farthest = torch.arange(clients), squares.argmax(dim=1)
    second = squares[farthest] < squares[firsts]
    for _ in range(LLOYD_STEPS):
        before = second
        second = _to_centre(squares, second) < _to_centre(squares, ~second)
        if second.equal(before):
            break
    inertia = torch.minimum(
        _to_centre(squares, second).nan_to_num(torch.inf),
        _to_centre(squares, ~second).nan_to_num(torch.inf),
    ).sum(dim=1)
    return second[inertia.argmin()]


def _to_centre(
    squares: Float64[Tensor, "clients clients"], members: Bool[Tensor, "starts clients"]
) -> Float64[Tensor, "starts clients"]:
    """Squared distance of every row to the centre of the members; NaN without members.

    |x - c|^2 is the mean of |x - y|^2 over the members y, less half the mean of their
    squared distances to each other.
    """
    shares = members / members.sum(dim=1, keepdim=True).double()
    means = shares @ squares
    return means - (means * shares).sum(dim=1, keepdim=True) / 2
