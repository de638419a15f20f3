"""Which share of their images two repeats of a task have in common, on average: they are not independent samples.

Expected values from the sizes of the classes, not counts of what was drawn: the draws of two repeats are independent
(`datasets/sampling.py`), so an image of a class that gives n of its N images is in both with a chance of (n / N)^2.
"""

import math
from collections.abc import Sequence

from bench.datasets.base import DatasetFacts
from bench.spec.refs import LabelBudget


def label_overlap(budget: LabelBudget, facts: DatasetFacts, is_resplit: bool) -> float:
    """Of the labelled images. NaN where the sizes of the classes are not known."""
    if budget.kind == "full" and not is_resplit:
        return 1.0
    sizes = _train_sizes(facts)
    if not sizes or (is_resplit and not facts.test_sizes):
        return math.nan
    pools = [a + b for a, b in zip(sizes, facts.test_sizes, strict=True)] if is_resplit else sizes
    return _shared(drawn(budget, sizes), pools)


def test_overlap(facts: DatasetFacts, is_resplit: bool) -> float:
    """Of the test images."""
    if not is_resplit:
        return 1.0
    sizes = _train_sizes(facts)
    if not sizes or not facts.test_sizes:
        return math.nan
    return _shared(facts.test_sizes, [a + b for a, b in zip(sizes, facts.test_sizes, strict=True)])


def _train_sizes(facts: DatasetFacts) -> tuple[int, ...]:
    if not facts.train_sizes and facts.num_classes * facts.smallest_class == facts.num_train:
        return (facts.smallest_class,) * facts.num_classes
    return facts.train_sizes


def _shared(taken: Sequence[float], pools: Sequence[int]) -> float:
    """`taken`: images of each class, on average; `pools`: those that they are drawn from."""
    return sum(n * n / of for n, of in zip(taken, pools, strict=True)) / sum(taken)


def drawn(budget: LabelBudget, sizes: Sequence[int]) -> list[float]:
    """Labelled images of each class, on average."""
    match budget.kind:
        case "labels_per_class":
            return [float(budget.amount) for _ in sizes]
        case "fraction":
            return [math.ceil(round(budget.amount * size, 9)) for size in sizes]
        case "total":
            return _spread(budget.amount, sizes)
        case "full":
            return [float(size) for size in sizes]


def _spread(total: float, sizes: Sequence[int]) -> list[float]:
    """As even as the sizes allow: one from each class in turn. In the last round the tickets decide which classes give:
    those of larger classes come first, since so many of many are lower; of equal classes, each is as likely."""
    level = 0
    left = total
    while (giving := sum(size > level for size in sizes)) and left > giving:
        left -= giving
        level += 1
    found = [float(min(size, level)) for size in sizes]
    for largest in sorted({size for size in sizes if size > level}, reverse=True):
        equal = [number for number, size in enumerate(sizes) if size == largest]
        for number in equal:
            found[number] += min(1.0, left / len(equal))
        left = max(0.0, left - len(equal))
    return found
