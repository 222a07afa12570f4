"""The cells of a grid, several at a time, until each has an outcome."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice

from joblib import Parallel, delayed

from fedward.bench.grid import Cell
from fedward.bench.work import Bench, Outcome, run_cells

TOGETHER = 2
"""A cell that lost its worker this often in company is run alone, to see who does it."""


def execute(
    cells: Sequence[Cell],
    bench: Bench,
    size: int,
    begun: Callable[[Cell], None] = lambda cell: None,
) -> Iterator[Outcome]:
    """The outcome of every cell, in the order in which they come.

    A worker that dies takes with it what it was doing, no more: its cell is begun again and
    resumes. A cell that kills a worker even when it is alone has failed.

    Args:
        size: how many cells run at a time, from `backends.workers`.
        begun: called when a cell is handed to a worker.
    """
    left = {cell.key: cell for cell in cells}
    deaths = dict.fromkeys(left, 0)
    while left:
        trusted = [cell for cell in left.values() if deaths[cell.key] < TOGETHER]
        batch = trusted or list(left.values())[:1]
        handed: list[Cell] = []
        try:
            for outcome in _together(batch, bench, size, handed, begun):
                del left[outcome.key]
                yield outcome
        except Exception as error:  # not of a cell: those are values
            lost = [cell for cell in handed if cell.key in left]
            if not lost:
                raise
            for cell in lost:
                deaths[cell.key] += 1
            if not trusted:
                del left[batch[0].key]
                yield Outcome(batch[0].key, error=f"its worker died: {error}")


def _together(
    cells: Sequence[Cell],
    bench: Bench,
    size: int,
    handed: list[Cell],
    begun: Callable[[Cell], None],
) -> Iterator[Outcome]:
    def hand(cell: Cell) -> Cell:
        handed.append(cell)
        begun(cell)
        return cell

    tasks = (
        delayed(run_cells)([hand(cell).config for cell in stack], bench)
        for stack in stacks(cells, bench.stack)
    )
    parallel = Parallel(
        n_jobs=size, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1
    )
    for outcomes in parallel(tasks):
        yield from outcomes


def stacks(cells: Sequence[Cell], height: int) -> Iterator[tuple[Cell, ...]]:
    """Cells in their order, so many at a time as long as they are of one data set."""
    for _, alike in groupby(cells, key=lambda cell: cell.config.dataset):
        yield from batched(alike, height)


def batched(cells: Iterable[Cell], height: int) -> Iterator[tuple[Cell, ...]]:
    """So many at a time; the last may be fewer."""
    left = iter(cells)
    while batch := tuple(islice(left, height)):
        yield batch
