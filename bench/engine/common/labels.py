"""Which images a repeat may learn from, and how a search splits them. No seed here mentions the strategy."""

import numpy as np
import numpy.typing as npt

from bench.datasets import sampling
from bench.keys import seed_for
from bench.spec.job import FitSpec

Indices = npt.NDArray[np.int64]


def labelled(spec: FitSpec, labels: Indices) -> Indices:
    """The label budget of this repeat, as indices into the training split; nested across budgets."""
    seed = seed_for("subset", spec.seed, spec.data.name, spec.repeat)
    match spec.budget.kind:
        case "labels_per_class":
            return sampling.subset_per_class(labels, int(spec.budget.amount), seed)
        case "fraction":
            return sampling.subset_fraction(labels, spec.budget.amount, seed)
        case "total":
            return sampling.subset_total(labels, int(spec.budget.amount), seed)
        case "full":
            return sampling.subset_full(labels)


def splits(spec: FitSpec, labels: Indices) -> list[tuple[Indices, Indices]]:
    """(train, validation) pairs of positions within the labelled images: one hold-out, or every fold once."""
    seed = seed_for("split", spec.seed, spec.data.name, spec.repeat)
    if spec.search.folds == 0:
        held = sampling.split_holdout(labels, spec.search.holdout, seed)
        return [(held.train, held.validation)]
    return [(fold.train, fold.validation) for fold in sampling.split_folds(labels, spec.search.folds, seed)]
