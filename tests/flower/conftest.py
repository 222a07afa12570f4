"""Without the extra ``flower`` there is nothing here to test."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
import torch

HAS_FLOWER = find_spec("flwr") is not None

# In continuous integration an import error is wanted: it shows that an install is missing.
collect_ignore_glob = [] if HAS_FLOWER or os.environ.get("CI") == "true" else ["test_*.py"]


def pytest_report_header(config: pytest.Config) -> str:
    return "" if HAS_FLOWER else "tests/flower skipped: the extra 'flower' is not installed"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the clients; how threads share a sum may depend on where in memory it lies."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
