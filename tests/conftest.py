"""Settings of the whole test run."""

import os

from hypothesis import settings
from threadpoolctl import threadpool_limits

# A deployment's processes, whose results are compared to the bit, have one thread each.
# PyTorch reads this when it is loaded, and gives other last bits if it is told later.
os.environ["OMP_NUM_THREADS"] = "1"
# NumPy has been loaded already, by pytest's plug-ins.
threadpool_limits(1, user_api="blas")

# Derandomized: a failure in continuous integration must be the change's, not the dice's.
settings.register_profile("fedward", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("fedward")
