"""GPU environment doctor and container launcher."""

__version__ = "0.1.0"
