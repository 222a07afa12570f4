"""Which loops run over the entries, and on how many threads.

Numba's where it is installed (the extra ``speed``), else NumPy's; the results are the same
bits, but for norms, whose sums may be grouped in another order. The choice is made, and
said once in the log, when the first update is looked at and not at import: loading Numba
takes half a second that a program without updates should not wait for.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from fedward.ops import portable

log = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]
Item = TypeVar("Item")


@runtime_checkable
class Kernels(Protocol):
    """What `portable` and `compiled` both have; `portable` says what each does."""

    def scan(
        self,
        row: Floats,
        columns: NDArray[np.int64],
        places: NDArray[np.int64],
        every: NDArray[np.uint8],
        negative: NDArray[np.uint8],
        present: NDArray[np.uint8],
        peaks: NDArray[np.float64],
        kept: NDArray[np.int64],
    ) -> float:
        """See `portable.scan`."""
        ...

    def keep(
        self,
        layer: Floats,
        cut: float,
        negative: NDArray[np.uint8],
        present: NDArray[np.uint8],
    ) -> int:
        """See `portable.keep`."""
        ...

    def squares(
        self,
        words: NDArray[np.uint64],
        present: NDArray[np.uint64] | None,
        every: NDArray[np.uint64],
        begins: NDArray[np.int64],
        sizes: NDArray[np.int64],
        maxima: NDArray[np.float64],
        kept: NDArray[np.int64],
        first: int,
        total: NDArray[np.float64],
    ) -> None:
        """See `portable.squares`."""
        ...

    def weighted(
        self,
        flat: Floats,
        offsets: NDArray[np.int64],
        weights: NDArray[np.float64],
        out: Floats,
        begin: int,
        end: int,
    ) -> None:
        """See `portable.weighted`."""
        ...


@cache
def kernels() -> Kernels:
    """Numba's loops, or NumPy's where Numba cannot be loaded."""
    try:
        from fedward.ops import compiled
    except (ImportError, RuntimeError) as failure:  # Numba finds no folder for its cache
        log.info("signatures are made by NumPy; the extra 'speed' is faster (%s)", failure)
        return cast("Kernels", portable)
    log.info("signatures are made by loops that Numba compiles")
    return cast("Kernels", compiled)


@cache
def gram_loops() -> Any | None:
    """The module of Numba's inner products, or None where Numba cannot be loaded."""
    try:
        from fedward.ops import compiled_gram
    except (ImportError, RuntimeError) as failure:  # Numba finds no folder for its cache
        log.info(
            "rows are multiplied by PyTorch; the extra 'speed' is faster (%s)", failure
        )
        return None
    return compiled_gram


def spread(task: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Do a task for every item, on as many threads as torch computes with.

    The caller is one of the threads, so that little work does not wait for others to start.
    The threads end with the call, so a fork of the process finds none half way. Every item
    is worked on even if another raises; then the error of the first one is raised.
    """
    waiting = list(items)
    helpers = min(torch.get_num_threads(), len(waiting)) - 1
    if helpers < 1:
        for item in waiting:
            task(item)
        return
    left, failures = iter(enumerate(waiting)), dict[int, Exception]()

    def work() -> None:
        for place, item in left:
            try:
                task(item)
            except Exception as failure:
                failures[place] = failure

    with ThreadPoolExecutor(helpers) as pool:
        for _ in range(helpers):
            pool.submit(work)
        work()
    if failures:
        raise failures[min(failures)]
