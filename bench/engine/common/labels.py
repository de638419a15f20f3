"""Which images a repeat may learn from, and how a search splits them. No seed here mentions the strategy."""

import numpy as np
import numpy.typing as npt

from bench.datasets import sampling
from bench.datasets.split_lists import Listed
from bench.keys import seed_for
from bench.spec.job import FitSpec

Indices = npt.NDArray[np.int64]


def labelled(spec: FitSpec, labels: Indices, listed: Listed | None = None) -> Indices:
    """The label budget of this repeat, as indices into the training split: what a list says, or drawn, and then nested
    across budgets. `listed`: what `spec.listed` stands for."""
    assert (spec.listed is None) == (listed is None), "a list says which images are labelled"
    if listed is not None:
        return np.array(listed.train, np.int64)
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


def splits(spec: FitSpec, labels: Indices, listed: Listed | None = None) -> list[tuple[Indices, Indices]]:
    """(train, validation) pairs of positions within the labelled images: one hold-out, or every fold once."""
    assert (spec.listed is None) == (listed is None), "a list may say which images validate"
    if listed is not None and listed.validation:
        folds = [np.array(held, np.int64) for held in listed.validation]
        return [(np.setdiff1d(np.arange(len(labels)), held), held) for held in folds]
    seed = seed_for("split", spec.seed, spec.data.name, spec.repeat)
    if spec.search.folds == 0:
        held = sampling.split_holdout(labels, spec.search.holdout, seed)
        return [(held.train, held.validation)]
    return [(fold.train, fold.validation) for fold in sampling.split_folds(labels, spec.search.folds, seed)]
