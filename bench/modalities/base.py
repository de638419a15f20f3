"""What a modality is to the rest of the house: what a split of its data sets stores, and how that becomes a network's
input. No torch here: planning reads entries, and workers ask an entry for its `handling`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from bench.modalities.glimpse import Glimpse
from bench.spec.refs import Training

if TYPE_CHECKING:
    from torch import Generator, Tensor

Columns = Mapping[str, npt.NDArray[Any]]


class Variation(Protocol):
    """How training examples are changed at random. Its `repr` and fields name kept features."""

    @property
    def is_random(self) -> bool: ...

    @property
    def views(self) -> int:
        """So many changed views of each example, drawn once; 0: changed anew each time."""
        ...

    @property
    def num_views(self) -> int | None:
        """How many different examples one example can become; None: too many to keep."""
        ...


class Handling(Protocol):
    """From stored columns to inputs. Everything random is decided per example, for whole batches at once."""

    # Inputs are rows of whole numbers [B, L], and 0 behind the end of each: a batch is cut to its longest example.
    is_padded: bool = False
    libraries: tuple[str, ...] = ()  # whose versions what is `prepared` depends on

    def stored(self, columns: Columns) -> "tuple[Tensor, ...]":
        """The columns as tensors [N, ...] on the CPU. They may share memory with a file."""
        ...

    def preparation(self, pipeline: Any) -> Any:
        """The part of a pipeline that is computed of each example once, before anything changes at random; None:
        columns are taken as they are stored."""
        return None

    def prepared(self, columns: Columns, pipeline: Any, files: Mapping[str, Path]) -> "Tensor":
        """[N, ...], on the CPU: what stands in the place of the stored columns then. `files`: by their digest."""
        raise TypeError(f"{type(self).__name__} takes columns as they are stored")

    def variation(self, training: Training) -> Variation: ...

    def still(self) -> Variation:
        """Nothing changes."""
        ...

    def vary(
        self, values: "tuple[Tensor, ...]", how: Any, generator: "Generator", rows: "Tensor | None"
    ) -> Any:
        """Some examples after random changes, in a form that `inputs` knows. The generator lives on the CPU, so devices
        draw alike. `rows`: the examples' places in their split; needed where views are drawn once."""
        ...

    def choose_views(self, num: int, how: Any, generator: "Generator") -> "Tensor":
        """int64 [num], drawn as `vary` draws it: which view each example of a batch is seen in."""
        ...

    def view(self, values: "tuple[Tensor, ...]", how: Any, rows: "Tensor", views: "Tensor") -> Any:
        """As `vary`, each example in the view of that number."""
        ...

    def inputs(self, parts: Sequence[Any], pipeline: Any) -> "Tensor":
        """[B, ...], as a network takes it. Each part: columns [n, ...] as they are stored, or what `vary` makes of
        them."""
        ...

    def blank(self, pipeline: Any, num: int, device: str) -> "Tensor":
        """Inputs of so many made-up examples, for counting and for shapes."""
        ...

    def per_pass(self, pipeline: Any) -> int:
        """Examples that one pass of a network takes at once without learning: its working memory grows with their
        size."""
        ...


@dataclass(frozen=True)
class Modality:
    """One line of the catalogue."""

    name: str
    summary: str
    columns: tuple[str, ...]  # what a split stores of each example, beside its label
    check: Callable[[Columns], None]  # raises AssertionError where columns are not as `handling` wants them
    pipeline: type  # from stored to input: a frozen dataclass, part of the key
    handling: Callable[[], Handling]  # imports torch itself
    # Of what a suite says of a backbone, and the facts of backbone and data set: its pipeline.
    pipeline_for: Callable[[Any, Any, Any], Any]
    example: str  # what people call one
    counted_as: str = ""  # what FLOPs are of, where not of examples as they are
    in_words: Callable[[Any], str] = str  # what a pipeline shows a network of each example
    # Of some examples' columns, what a page shows of them; None: nothing.
    glimpse: Callable[[Columns], Glimpse] | None = None
