"""Which examples a run may use: stratified subsets that nest, hold-outs and folds. Pure functions of labels and a seed.

Every example gets a random ticket, and each choice takes the examples of a class in the order of their tickets. So the
same seed gives budgets that contain one another, whatever their kind, and another class's examples change nothing.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.errors import BenchError

Labels = npt.NDArray[np.int64]  # [N]
Indices = npt.NDArray[np.int64]  # positions in the labels, ascending


class SamplingError(BenchError):
    """The labels do not hold what was asked for."""


def subset_per_class(labels: Labels, per_class: int, seed: int, names: Sequence[str] | None = None) -> Indices:
    """`per_class` examples of each class."""
    assert per_class > 0
    by_class = _by_class(labels, seed)
    short = {c: len(examples) for c, examples in by_class.items() if len(examples) < per_class}
    if short:
        raise SamplingError(f"labels_per_class: {per_class} asked for, but {_listed(short, names)}")
    return _ascending(examples[:per_class] for examples in by_class.values())


def subset_fraction(labels: Labels, fraction: float, seed: int) -> Indices:
    """The same share of each class, rounded up, so that none goes empty."""
    assert 0 < fraction <= 1
    # 0.07 * 100 is 7.000000000000001: take that for 7 before rounding up.
    by_class = _by_class(labels, seed)
    return _ascending(examples[: math.ceil(round(fraction * len(examples), 9))] for examples in by_class.values())


def subset_total(labels: Labels, total: int, seed: int, names: Sequence[str] | None = None) -> Indices:
    """`total` examples, as even over the classes as their sizes allow; chance says who has one more."""
    assert total > 0
    if total > len(labels):
        sizes = {c: len(examples) for c, examples in _by_class(labels, seed).items()}
        raise SamplingError(f"total: {total} asked for, but there are only {len(labels)}: {_listed(sizes, names)}")
    rounds = np.empty(len(labels), np.int64)  # an example's place within its class
    for examples in _by_class(labels, seed).values():
        rounds[examples] = np.arange(len(examples))
    return np.sort(np.lexsort((_tickets(len(labels), seed), rounds))[:total])


def subset_full(labels: Labels) -> Indices:
    return np.arange(len(labels), dtype=np.int64)


@dataclass(frozen=True)
class Division:
    """A pool of examples, parted by a list."""

    train: tuple[int, ...]  # places in the pool, ascending
    test: tuple[int, ...]


@dataclass(frozen=True)
class Holdout:
    train: Indices
    validation: Indices


def split_holdout(labels: Labels, share: float, seed: int) -> Holdout:
    """Set aside `share` of the labels class by class: at least one of every class that has two or more, never all."""
    assert 0 < share < 1
    by_class = _by_class(labels, seed)
    exact = {c: share * len(examples) for c, examples in by_class.items()}
    taken = {c: min(max(math.floor(exact[c]), 1), len(examples) - 1) for c, examples in by_class.items()}
    missing = round(share * len(labels)) - sum(taken.values())
    # What rounding down left over goes to the classes that lost most by it.
    for c in sorted(by_class, key=lambda c: taken[c] - exact[c]):
        if missing > 0 and taken[c] < min(exact[c], len(by_class[c]) - 1):
            taken[c] += 1
            missing -= 1
    return _held_out(by_class, taken)


def split_counts(labels: Labels, held: npt.NDArray[np.int64], seed: int) -> Holdout:
    """Set aside so many examples of each class. `held`: by class."""
    by_class = _by_class(labels, seed)
    return _held_out(by_class, {c: int(held[c]) for c in by_class})


def _held_out(by_class: dict[int, Indices], taken: dict[int, int]) -> Holdout:
    return Holdout(
        train=_ascending(examples[taken[c] :] for c, examples in by_class.items()),
        validation=_ascending(examples[: taken[c]] for c, examples in by_class.items()),
    )


@dataclass(frozen=True)
class Folds:
    fold: Labels  # [N], which fold scores the example
    num_folds: int
    note: str  # what a reader should know about these folds, or empty

    def __iter__(self) -> Iterator[Holdout]:
        for k in range(self.num_folds):
            yield Holdout(train=np.flatnonzero(self.fold != k), validation=np.flatnonzero(self.fold == k))


def split_folds(labels: Labels, num_folds: int, seed: int, names: Sequence[str] | None = None) -> Folds:
    """Each example is in one fold; a class's counts, and the folds' sizes, differ by one at most.

    No more folds than the largest class has examples: with more, some folds would hold no class whole.
    """
    assert num_folds >= 2
    by_class = _by_class(labels, seed)
    sizes = {c: len(examples) for c, examples in by_class.items()}
    largest = max(sizes.values(), default=0)
    if largest < 2:
        raise SamplingError(f"folds: {num_folds} asked for, but no class has two examples: nothing is left to train "
                            "on when its only one is held out")
    dealt = min(num_folds, largest)
    notes = []
    if dealt < num_folds:
        notes.append(f"{dealt} folds instead of {num_folds}: the largest class has {largest} examples")
    alone = {c: n for c, n in sizes.items() if n == 1}
    if alone:
        notes.append(f"never seen in training when scored: {_listed(alone, names)}")
    # Dealt like cards, each class going on where the one before it stopped: that evens the folds' sizes too.
    order = np.concatenate(list(by_class.values()))
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % dealt
    return Folds(fold, dealt, "; ".join(notes))


def shuffled(count: int, seed: int) -> list[int]:
    """0 .. count - 1, in the order of their tickets."""
    return [int(number) for number in np.argsort(_tickets(count, seed), kind="stable")]


def _tickets(count: int, seed: int) -> npt.NDArray[np.uint64]:
    """Raw words of the bit generator: numpy keeps those the same across its releases, unlike `permutation`."""
    words: npt.NDArray[np.uint64] = np.random.PCG64(seed).random_raw(count)
    return words


def _by_class(labels: Labels, seed: int) -> dict[int, Indices]:
    """Class -> its examples in the order of their tickets."""
    order = np.argsort(_tickets(len(labels), seed), kind="stable")
    return {int(c): order[labels[order] == c] for c in np.unique(labels)}


def _ascending(parts: Iterator[Indices]) -> Indices:
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))


def _listed(sizes: dict[int, int], names: Sequence[str] | None, limit: int = 8) -> str:
    """`'cat' has 3, 'dog' has 4 and 12 more classes`"""
    shown = [f"{repr(names[c]) if names else f'class {c}'} has {n}" for c, n in list(sizes.items())[:limit]]
    rest = len(sizes) - len(shown)
    return ", ".join(shown) + (f" and {rest} more classes" if rest else "")


