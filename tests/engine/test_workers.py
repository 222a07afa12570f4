import _thread
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import torch

from fedward.engine.workers import single_threaded, spread, usable_cpus


@pytest.mark.parametrize("workers", [None, 1, 2, 7])
def test_results_come_in_the_order_of_the_items(workers: int | None) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 / (1 + item))
        return item * item

    assert spread(slow_first, range(9), workers) == [i * i for i in range(9)]
    assert spread(slow_first, [], workers) == []


def test_work_really_runs_at_the_same_time() -> None:
    """Both must be inside at once, or the barrier breaks."""
    together = threading.Barrier(2, timeout=10)
    spread(lambda _: together.wait(), range(2), workers=2)


def test_every_worker_computes_with_one_pytorch_thread_and_the_number_is_restored() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert spread(lambda _: torch.get_num_threads(), range(4), 2) == [1] * 4
        assert torch.get_num_threads() == 3
        with pytest.raises(KeyError), single_threaded():
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_first_error_in_the_order_of_items_is_raised_and_nobody_is_left_out() -> None:
    done = []

    def work(item: int) -> None:
        done.append(item)
        if item == 2:
            time.sleep(0.05)
        if item in (2, 4):
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 2"):
        spread(work, range(6), workers=3)
    assert sorted(done) == list(range(6))


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Interrupts raise, also where the test runner was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_drops_what_is_not_begun() -> None:
    done = []

    def work(item: int) -> None:
        done.append(item)
        if item == 0:
            _thread.interrupt_main()
        time.sleep(0.1)

    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        spread(work, range(50), workers=2)
    assert len(done) < 10
    assert torch.get_num_threads() == before


def test_there_is_at_least_one_cpu() -> None:
    assert usable_cpus() >= 1
