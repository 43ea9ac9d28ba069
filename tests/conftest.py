"""What every test may ask for, and what holds for all of them."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.golden.plugin", "tests.real.fixtures"]

# The same examples in every run: a failure that comes and goes tells nobody what broke it.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# A shell starts background jobs with SIGINT ignored, and what we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
