"""Compare transfer-learning strategies fairly. `bench/README.md` shows the way through the house."""

__version__ = "0.1.0"
