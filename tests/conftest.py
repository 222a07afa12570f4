"""Settings of the whole test run."""

from hypothesis import settings

# Derandomized: a failure in continuous integration must be the change's, not the dice's.
settings.register_profile("fedward", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("fedward")
