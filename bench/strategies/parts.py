"""What a recipe can carry beyond numbers: pieces of code that are values too. A strategy's file subclasses one of these
as a frozen dataclass; its fields, `name` among them, are in the key, so another meaning needs another name.

torch is imported inside the methods: recipes are made where there is none. `engine/setting.py` says what they are
given.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import get_annotations
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.backbones.units import Network
    from bench.engine.heads import Head
    from bench.engine.setting import Setting, Step, Term


@dataclass(frozen=True, kw_only=True)
class Part(ABC):
    name: str
    needs: ClassVar[tuple[str, ...]] = ()  # in words, for lists

    def __post_init__(self) -> None:
        """What a part does stands in no key but by its name."""
        cls = type(self)
        if "name" not in get_annotations(cls):
            raise TypeError(f"{cls.__name__} does something else than what it derives from: "
                            "it needs a `name` of its own")


@dataclass(frozen=True, kw_only=True)
class Adaptation(Part):
    """Changes a network before it trains. What it adds belongs to the unit whose name it begins with."""

    draws: ClassVar[bool] = False  # random numbers in each step

    @abstractmethod
    def apply(self, module: "nn.Module", body: Sequence[str]) -> None:
        """In place, with torch's generator seeded. `body`: names of the modules that are not the head's. Raises
        NotApplicable where nothing fits."""


@dataclass(frozen=True)
class Pull:
    """strength / 2 * sum of curvature (w - anchor)^2 over one parameter."""

    anchor: "Tensor | float"
    strength: float
    curvature: "Tensor | float" = 1.0

    def value(self, parameter: "Tensor") -> "Tensor":
        return self.strength / 2 * (self.curvature * (parameter - self.anchor).square()).sum()


@dataclass(frozen=True, kw_only=True)
class Penalty(Part):
    """Makes the loss another one. What is quadratic in the parameters it states as pulls instead: they count in the
    loss that is reported, and the engine follows them without their gradient (`engine/optimize.py`, `step_toward`)."""

    # `parameters` and the classifier's `features` are there however the network is run; who reads `images`, or what
    # units put out, has the whole network run in each step.
    reads: ClassVar[Literal["parameters", "features", "images"]] = "parameters"
    passes: ClassVar[float] = 0.0  # forward passes through a whole network in each step, beside the training's own

    def passes_in(self, phase: int) -> float:
        return self.passes

    @abstractmethod
    def begin(self, setting: "Setting") -> "Term":
        """Asked once for each training. Raises NotApplicable where something is lacking."""

    def loss(self, term: "Term", step: "Step") -> "Tensor":
        """Instead of `step.loss`, the pulls left out. `term`: what `begin` gave."""
        return step.loss

    def pulls(self, term: "Term", network: "Network") -> "Mapping[str, Pull]":
        """By the parameter's name. Asked once, after `begin`."""
        return {}


@dataclass(frozen=True, kw_only=True)
class TensorRates(Part):
    @abstractmethod
    def measure(self, setting: "Setting") -> Mapping[str, float]:
        """A factor for each parameter that learns, the network being as it is."""


@dataclass(frozen=True, kw_only=True)
class Solver(Part):
    """Computes classifiers from features."""

    reads: ClassVar[Literal["features", "units"]] = "features"  # the classifier's, or what every unit puts out, pooled

    @abstractmethod
    def heads(self, features: "Tensor", labels: "Tensor", num_classes: int, penalties: list[float]) -> "list[Head]":
        """One for each penalty, as `engine/heads.py` describes it."""
