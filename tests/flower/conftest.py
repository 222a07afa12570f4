"""Without the extra ``flower`` there is nothing here to test."""

import os
from importlib.util import find_spec

import pytest

HAS_FLOWER = find_spec("flwr") is not None

# In continuous integration an import error is wanted: it shows that an install is missing.
collect_ignore_glob = [] if HAS_FLOWER or os.environ.get("CI") == "true" else ["test_*.py"]


def pytest_report_header(config: pytest.Config) -> str:
    return "" if HAS_FLOWER else "tests/flower skipped: the extra 'flower' is not installed"
