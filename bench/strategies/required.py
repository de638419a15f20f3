"""What a network must have for a strategy to mean anything on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.errors import NotApplicable
from bench.spec.parts import Adaptation
from bench.strategies.lazy import nn


@dataclass(frozen=True, kw_only=True)
class RequiresBatchNorm(Adaptation):
    """Adds nothing, and refuses networks without BatchNorm."""

    name: str = "requires_batchnorm"
    needs: ClassVar[tuple[str, ...]] = ("BatchNorm",)

    def apply(self, module: nn.Module, body: Sequence[str]) -> None:
        if not any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in module.modules()):
            raise NotApplicable("this network has no BatchNorm")
