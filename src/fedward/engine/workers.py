"""Work on several CPUs at once: Python threads with one PyTorch thread each.

PyTorch lets go of the interpreter while it computes, so threads suffice and everything is
shared. One PyTorch thread a worker means that no worker waits for another's, and that
results do not depend on how many there are.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def single_threaded() -> Iterator[None]:
    """PyTorch computes with one thread, in threads that are started inside.

    The number belongs to the process: PyTorch hands it to every thread that computes for
    the first time. Threads that already have computed keep their own.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> list[Result]:
    """The results of ``work``, in the order of the items, which are begun in that order.

    Every item is worked on even if another raises; then the error of the first item that
    raised is raised, so that it does not depend on who was quicker. An interrupt of the
    caller drops the items that are not begun.

    Args:
        work: called from several threads at once.
        items: what it is called with.
        workers: threads; None for one a usable CPU.
    """
    count = min(workers or usable_cpus(), len(items))
    if count == 0:
        return []
    with single_threaded(), ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
