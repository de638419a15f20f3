"""Which examples two data sets have in common, by their content: whatever a file or a set is called.

Examples are compared by prints (`Split.prints`), which lie beside them in the cache: as they are kept, and as they
were before they were cut to size. So a picture is found again in a set of another size, and under another name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Dataset, Prints

LIMIT = 0.01  # of a target's test or training examples: more of them, and a set counts as the target's own


def twice(example: str = "image") -> str:
    return f"test {example}s are training {example}s too"


@dataclass(frozen=True)
class Overlap:
    """How many of a target's examples are training examples of a set that was learned before it."""

    test: int
    num_test: int
    train: int
    num_train: int

    @property
    def is_own(self) -> bool:
        return self.test > LIMIT * self.num_test or self.train > LIMIT * self.num_train

    def __bool__(self) -> bool:
        return self.test + self.train > 0

    def in_words(self, example: str) -> str:
        return (f"{self.test:,} of {self.num_test:,} test {example}s and {self.train:,} of {self.num_train:,} "
                f"training {example}s")


def worst(found: Sequence[Overlap]) -> Overlap:
    """The one that leaves least to test on."""
    return max(found, key=lambda one: (one.is_own, one.test, one.train))


def overlap(learned: Dataset, target: Dataset, split: int | None = None) -> Overlap:
    """Only training examples of `learned` count: its test split was never learned. `split`: of the target."""
    prints = np.unique(learned.train.prints)
    train, test = target.prints(split)
    return Overlap(int(_are_in(test, prints).sum()), len(test), int(_are_in(train, prints).sum()), len(train))


def num_test_in_train(dataset: Dataset, split: int | None = None) -> int:
    """Test examples of a set that are training examples of it too."""
    train, test = dataset.prints(split)
    return int(_are_in(test, np.unique(train)).sum())


def _are_in(prints: Prints, others: Prints) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.isin(prints, others)
    return np.logical_or(found[:, 0], found[:, 1])
