"""What tests need from the machine: a skip, but a failure in continuous integration.

There a skip would hide an install step that is missing.
"""

import os

import pytest


def missing(what: str) -> None:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {what}, which continuous integration must install")
    pytest.skip(f"needs {what}, which this machine lacks")
