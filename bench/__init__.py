"""Compare transfer-learning strategies fairly. `bench/README.md` shows the way through the house; `bench/api.py` is
what there is from Python: `bench.run`, `bench.load`, `bench.plan`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Results, load, plan, run

__version__ = "0.1.0"
__all__ = ["Results", "__version__", "load", "plan", "run"]


def __getattr__(name: str) -> Any:
    """When it is asked for: every command imports this file, and most of them need no pandas."""
    if name not in __all__:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    import bench.api

    return getattr(bench.api, name)
