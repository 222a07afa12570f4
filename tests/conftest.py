"""Settings of the whole test run."""

import os

from hypothesis import settings

# Read once, when PyTorch is loaded; to set its threads later does not give the same last
# bits, and a deployment's processes, which tests are held against, have one from the start.
os.environ["OMP_NUM_THREADS"] = "1"

# Derandomized: a failure in continuous integration must be the change's, not the dice's.
settings.register_profile("fedward", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("fedward")
