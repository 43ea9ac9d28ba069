"""What every test may ask for."""

pytest_plugins = ["tests.golden.plugin", "tests.real.fixtures"]
