"""The same examples on every run, and no deadline: a busy machine is not a fault of the code."""

from hypothesis import settings

settings.register_profile("statistics", deadline=None, derandomize=True)
settings.load_profile("statistics")
