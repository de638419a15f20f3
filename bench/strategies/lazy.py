"""torch, and bench's own files that import it, for the files of strategies: these are read where nobody needs torch.

A strategy's file begins with `from __future__ import annotations`, so that types in signatures import nothing, and
takes modules from here at its top. Each is imported when something of it is first asked for. Another module is added
below, in both halves.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = [
    "F", "beside", "capture", "closed_forms", "encoders", "group_lasso", "heads", "masked", "mixture", "nn",
    "prompts", "stochastic_norm", "tokens", "torch", "weights",
]  # fmt: skip


class Lazy(ModuleType):
    """Stands for the module of that name, and stays out of `sys.modules`, where other libraries look for torch."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:  # what the type checker reads
    import torch
    from torch import nn
    from torch.nn import functional as F

    from bench.modalities import tokens
    from bench.network import capture, masked
    from bench.solve import closed_forms, group_lasso, heads, mixture
    from bench.strategies.layers import beside, encoders, prompts, stochastic_norm, weights
else:  # what runs
    torch = Lazy("torch")
    nn = Lazy("torch.nn")
    F = Lazy("torch.nn.functional")
    capture = Lazy("bench.network.capture")
    closed_forms = Lazy("bench.solve.closed_forms")
    group_lasso = Lazy("bench.solve.group_lasso")
    heads = Lazy("bench.solve.heads")
    mixture = Lazy("bench.solve.mixture")
    masked = Lazy("bench.network.masked")
    tokens = Lazy("bench.modalities.tokens")
    beside = Lazy("bench.strategies.layers.beside")
    encoders = Lazy("bench.strategies.layers.encoders")
    prompts = Lazy("bench.strategies.layers.prompts")
    stochastic_norm = Lazy("bench.strategies.layers.stochastic_norm")
    weights = Lazy("bench.strategies.layers.weights")
