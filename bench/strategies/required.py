"""What a network must have for a strategy to mean anything on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.errors import NotApplicable
from bench.spec.parts import Adaptation

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class RequiresBatchNorm(Adaptation):
    """Adds nothing, and refuses networks without BatchNorm."""

    name: str = "requires_batchnorm"
    needs: ClassVar[tuple[str, ...]] = ("BatchNorm",)

    def apply(self, module: "nn.Module", body: Sequence[str]) -> None:
        from torch import nn

        if not any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in module.modules()):
            raise NotApplicable("this network has no BatchNorm")
