"""Which examples two data sets have in common, by their content: whatever a file or a set is called.

Examples are compared by prints (`Split.prints`), which lie beside them in the cache: as they are kept, and as they
were before they were cut to size. So a picture is found again in a set of another size, and under another name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.datasets.base import Dataset, Prints
from bench.datasets.sampling import Division

LIMIT = 0.01  # of a target's test or training examples: more of them, and a set counts as the target's own


def twice(example: str, split: str) -> str:
    return f"{split} {example}s are training {example}s too"


@dataclass(frozen=True)
class Overlap:
    """How many of a target's examples are training examples of a set that was learned before it. `shift`: of a further
    split, where it has one."""

    test: int
    num_test: int
    train: int
    num_train: int
    shift: int = 0
    num_shift: int = 0

    @property
    def is_own(self) -> bool:
        pairs = (self.test, self.num_test), (self.train, self.num_train), (self.shift, self.num_shift)
        return any(seen > LIMIT * num for seen, num in pairs)

    def __bool__(self) -> bool:
        return self.test + self.train + self.shift > 0

    def in_words(self, example: str) -> str:
        further = f", {self.shift:,} of {self.num_shift:,} shift {example}s" if self.num_shift else ""
        return (f"{self.test:,} of {self.num_test:,} test {example}s{further} and {self.train:,} of "
                f"{self.num_train:,} training {example}s")


def worst(found: Sequence[Overlap]) -> Overlap:
    """The one that leaves least to test on."""
    return max(found, key=lambda one: (one.is_own, one.test, one.shift, one.train))


def overlap(learned: Dataset, target: Dataset, split: int | Division | None = None) -> Overlap:
    """Only training examples of `learned` count: its test split was never learned. `split`: of the target."""
    prints = np.unique(learned.train.prints)
    parts = [*reversed(target.prints(split)), *([] if target.shift is None else [target.shift.prints])]
    return Overlap(*(number for part in parts for number in (int(_are_in(part, prints).sum()), len(part))))


def num_test_in_train(dataset: Dataset, split: int | Division | None = None) -> int:
    """Test examples of a set that are training examples of it too."""
    train, test = dataset.prints(split)
    return int(_are_in(test, np.unique(train)).sum())


def num_shift_in_train(dataset: Dataset, split: int | Division | None = None) -> int:
    """Likewise of its further split."""
    if dataset.shift is None:
        return 0
    return int(_are_in(dataset.shift.prints, np.unique(dataset.prints(split)[0])).sum())


def num_in_two_classes(dataset: Dataset) -> int:
    """Examples whose equal, in either split, has another label."""
    prints = np.concatenate([dataset.train.prints[:, 0], dataset.test.prints[:, 0]])
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    _, which = np.unique(prints, return_inverse=True)
    lowest, highest = np.full(which.max() + 1, labels.max()), np.zeros(which.max() + 1, dtype=labels.dtype)
    np.minimum.at(lowest, which, labels)
    np.maximum.at(highest, which, labels)
    return int((lowest < highest)[which].sum())


def _are_in(prints: Prints, others: Prints) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.isin(prints, others)
    return np.logical_or(found[:, 0], found[:, 1])
