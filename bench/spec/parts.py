"""What a recipe can carry beyond numbers: pieces of code that are values too. A strategy's file subclasses one of these
as a frozen dataclass; its fields, `name` among them, are in the key, so another meaning needs another name.

Recipes are made where there is no torch, so such a file takes it from `bench/strategies/lazy.py`. The protocols say
what the engine gives a part.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from bench.spec.refs import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Net(Protocol):
    """A module and its units, stem first, head last."""

    @property
    def module(self) -> "nn.Module": ...

    @property
    def parameters(self) -> "tuple[dict[str, nn.Parameter], ...]": ...

    @property
    def modules(self) -> "tuple[tuple[nn.Module, ...], ...]": ...

    @property
    def decaying(self) -> set[str]:
        """Names of the parameters that weight decay acts on."""
        ...


class Source(Protocol):
    """What the backbone was pretrained as."""

    @property
    def network(self) -> Net:
        """With its original head, in evaluation, frozen."""
        ...

    @property
    def memo(self) -> MutableMapping[Any, Any]:
        """What was found out about it."""
        ...

    def own_head(self) -> "nn.Linear":
        """A copy of its classifier, to learn along."""
        ...


class Setting(Protocol):
    """A training that is about to begin."""

    @property
    def network(self) -> Net: ...

    @property
    def start(self) -> "Mapping[str, Tensor]":
        """The state that every training of the job begins with."""
        ...

    @property
    def images(self) -> Any:
        """What it learns from."""
        ...

    @property
    def unlabelled(self) -> Any:
        """The training split without labels."""
        ...

    @property
    def pipeline(self) -> Any:
        """From stored examples to the network's input."""
        ...

    @property
    def training(self) -> Training: ...

    @property
    def seed(self) -> int:
        """For all that a part draws; the same for every strategy."""
        ...

    @property
    def memo(self) -> MutableMapping[str, Any]:
        """Shared by all trainings that start alike."""
        ...

    def source(self) -> Source:
        """Raises NotApplicable where there is none."""
        ...

    def source_images(self) -> Any:
        """Raises NotApplicable where they are not known."""
        ...

    def as_in_evaluation(self) -> AbstractContextManager[None]: ...

    def head_drawn(self) -> AbstractContextManager[None]:
        """Meanwhile a head of zeros is drawn, so that gradients reach the body."""
        ...

    def frozen_copy(self) -> Net:
        """Of the network as trainings begin with it, in evaluation."""
        ...

    def generator(self, purpose: str) -> "torch.Generator": ...

    def generator_for_all(self, purpose: str) -> "torch.Generator":
        """The same for every training of a backbone."""
        ...

    def batch(
        self, images: Any, draw: "torch.Generator", size: int | None = None, varied: bool = False
    ) -> "tuple[Tensor, Tensor]":
        """A random batch as the network takes it, and its labels. `varied`: changed as training images are."""
        ...

    def batches(self, num: int | None = None, rest: bool = False) -> "Iterator[tuple[Tensor, Tensor]]":
        """The training images in batches, shuffled. `rest`: the last ones too, which are fewer than a batch."""
        ...


class Step(Protocol):
    """One step, between its forward and its backward pass."""

    @property
    def number(self) -> int:
        """Of the steps so far."""
        ...

    @property
    def phase(self) -> int: ...

    @property
    def network(self) -> Net: ...

    @property
    def inputs(self) -> "Tensor":
        """[B, ...]: images, where the penalty reads them."""
        ...

    @property
    def labels(self) -> "Tensor": ...

    @property
    def logits(self) -> "Tensor": ...

    @property
    def loss(self) -> "Tensor":
        """Of the labels alone."""
        ...

    @property
    def features(self) -> "Tensor":
        """[B, D], what reaches the classifier."""
        ...

    @property
    def units(self) -> "Sequence[Tensor]":
        """What each unit puts out, where the penalty reads images."""
        ...


@dataclass
class Term:
    """What a penalty keeps for one training."""

    kept: Any = None
    modules: "nn.Module | None" = None  # learns too, as fast as the head
    is_source_head: bool = False  # whether these are the pretraining's own head


class Head(Protocol):
    """A classifier that was computed, for features as they came."""

    @property
    def evaluations(self) -> int: ...

    @property
    def gradient_norm(self) -> float: ...

    @property
    def converged(self) -> bool: ...

    def logits(self, features: "Tensor") -> "Tensor": ...


@runtime_checkable
class MixedHead(Head, Protocol):
    """One for what every unit puts out, side by side."""

    @property
    def mix(self) -> tuple[float, ...]:
        """How much each unit counts; adds up to 1."""
        ...


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
    """Changes the loss. What is quadratic in the parameters it states as pulls instead: they count in the
    loss that is reported, and the engine follows them without their gradient (`step_toward` in
    `engine/train/optimize.py`)."""

    # `parameters` and the classifier's `features` are there however the network is run; who reads `images`, or what
    # units put out, has the whole network run in each step.
    reads: ClassVar[Literal["parameters", "features", "images"]] = "parameters"
    passes: ClassVar[float] = 0.0  # forward passes through a whole network in each step, beside the training's own

    def passes_in(self, phase: int) -> float:
        return self.passes

    @abstractmethod
    def begin(self, setting: Setting) -> Term:
        """Asked once for each training. Raises NotApplicable where something is lacking."""

    def apart(self, term: Term, network: Net, phase: int) -> "Tensor | None":
        """All that a step of this phase learns, where labels have no part in it; None: they have."""
        return None

    def apart_on(self, network: Net, inputs: "Tensor", phase: int) -> "Tensor | None":
        """A loss that takes as much work as `apart` does on so many inputs, so that it can be counted. `network`: a
        copy without values."""
        return None

    def loss(self, term: Term, step: Step) -> "Tensor":
        """Instead of `step.loss`, the pulls left out. `term`: what `begin` gave."""
        return step.loss

    def pulls(self, term: Term, network: Net) -> Mapping[str, Pull]:
        """By the parameter's name. Asked once, after `begin`."""
        return {}


@dataclass(frozen=True, kw_only=True)
class TensorRates(Part):
    @abstractmethod
    def measure(self, setting: Setting) -> Mapping[str, float]:
        """A factor for each parameter that learns, the network being as it is."""


@dataclass(frozen=True, kw_only=True)
class Solver(Part):
    """Computes classifiers from features."""

    reads: ClassVar[Literal["features", "units"]] = "features"  # the classifier's, or what every unit puts out, pooled

    @abstractmethod
    def heads(self, features: "Tensor", labels: "Tensor", num_classes: int, penalties: list[float]) -> list[Head]:
        """One for each penalty, as `Head` describes it."""


@dataclass(frozen=True, kw_only=True)
class Mixer(Part):
    """Computes classifiers from what each unit puts out, told apart. What reaches the classifier stands for the last
    unit of the body."""

    def read(self, units: Sequence[int]) -> Sequence[int]:
        """Which of the units that put out one tensor each it is made of. Raises NotApplicable where one is lacking."""
        return units

    @abstractmethod
    def heads(
        self, layers: "Sequence[Tensor]", labels: "Tensor", num_classes: int, penalties: list[float]
    ) -> Sequence[MixedHead]:
        """One for each penalty. `layers`: [n, D] each, stem first, as they came; of the units that `read` names."""
