"""Finding the layers that some defences look at."""

from fedward.layout import Layout


def weight_matrix(layout: Layout, from_end: int) -> str:
    """Name of a layer with two dimensions or more, counted from the last, which is 0.

    A model with fewer of them answers with its first.

    Raises:
        ValueError: if the layout has no weight matrix.
    """
    matrices = [
        name
        for name, shape in zip(layout.names, layout.shapes, strict=True)
        if len(shape) >= 2
    ]
    if not matrices:
        raise ValueError(
            "a weight matrix is needed and no layer has two dimensions; the layers are "
            + ", ".join(layout.names)
        )
    return matrices[max(len(matrices) - 1 - from_end, 0)]
