"""What a score is: functions of a confusion table (rows: truth, columns: predicted, counts).

All of them need three margins of it alone: how many examples each class has, how often it is predicted, and how many of
its examples are right. A prediction that is none of the classes (a checkpoint's own head knows more of them) makes one
more column.
"""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from bench.spec.refs import Metric

__all__ = ["METRICS", "Metric", "confusion", "contributions", "lowest", "score_of"]

METRICS: tuple[Metric, ...] = get_args(Metric)
AT_ONCE = 1 << 20  # numbers of a margin that are held at once

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.integer[Any]]


def confusion(truth: Classes, predicted: Classes, num_classes: int) -> npt.NDArray[np.int64]:
    """[K, K]; [K, K + 1] where something else than these classes was predicted."""
    width = num_classes + int((predicted >= num_classes).any())
    cells = truth.astype(np.int64) * width + np.minimum(predicted.astype(np.int64), num_classes)
    return np.bincount(cells, minlength=num_classes * width).reshape(num_classes, width)


def score_of(metric: Metric, truth: Classes, predicted: Classes, num_classes: int) -> float:
    """From 0 to 1; mcc from -1. Of no examples at all: 0. Without the table, which is large where there are many
    classes."""
    return float(_FORMULAS[metric](*_counts(truth, predicted, num_classes)))


def lowest(metric: str) -> float:
    """That a score can be."""
    return -1.0 if metric == "mcc" else 0.0


def contributions(metric: Metric, truth: Classes, predicted: Classes, num_classes: int) -> Floats:
    """float64 [M]: what each example adds, such that their mean is the score. For accuracy 1 or 0; else the jackknife's
    pseudo-values, N * score - (N - 1) * score without it, moved by a constant to that mean."""
    if metric == "accuracy":
        return np.asarray(truth == predicted, np.float64)
    whole, num = score_of(metric, truth, predicted, num_classes), len(truth)
    seen = np.minimum(predicted.astype(np.int64), num_classes)
    pairs, place = np.unique(truth.astype(np.int64) * (num_classes + 1) + seen, return_inverse=True)
    without = _without(metric, _counts(truth, predicted, num_classes), *np.divmod(pairs, num_classes + 1))
    pseudo = (num * whole - (num - 1) * without)[place]
    return np.asarray(pseudo + (whole - pseudo.mean()))


def _without(metric: Metric, counts: tuple[Floats, Floats, Floats], truth: Classes, predicted: Classes) -> Floats:
    """[P]: the score once an example of such truth and prediction is taken away."""
    found = []
    each = max(1, AT_ONCE // len(counts[0]))
    for start in range(0, len(truth), each):
        t, p = truth[start : start + each], predicted[start : start + each]
        row = np.arange(len(t))
        right, there, told = (np.repeat(count[None], len(t), 0) for count in counts)
        right[row, t] -= t == p
        there[row, t] -= 1
        told[row, p] -= 1
        found.append(_FORMULAS[metric](right, there, told))
    return np.concatenate(found)


def _counts(truth: Classes, predicted: Classes, num_classes: int) -> tuple[Floats, Floats, Floats]:
    """Of each class: how many are right [K], how many there are [K], how often it was predicted [K + 1]."""
    told = np.minimum(predicted.astype(np.int64), num_classes)
    right = np.bincount(truth[truth == predicted], minlength=num_classes)
    there, all_told = np.bincount(truth, minlength=num_classes), np.bincount(told, minlength=num_classes + 1)
    return right.astype(np.float64), there.astype(np.float64), all_told.astype(np.float64)


def _ratio(above: Any, below: Any) -> Any:
    """0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(below), where=below > 0)


def _accuracy(right: Floats, there: Floats, told: Floats) -> Any:
    return _ratio(right.sum(-1), np.asarray(there.sum(-1)))


def _mean_per_class(right: Floats, there: Floats, told: Floats) -> Any:
    """Balanced accuracy: the mean recall of the classes that are there."""
    return _ratio(_ratio(right, there).sum(-1), np.asarray((there > 0).sum(-1), np.float64))


def _macro_f1(right: Floats, there: Floats, told: Floats) -> Any:
    """The mean over the classes that are there of each one's F1: twice the right ones among all that have or were given
    the class."""
    each = np.where(there > 0, _ratio(2 * right, there + told[..., : there.shape[-1]]), 0.0)
    return _ratio(each.sum(-1), np.asarray((there > 0).sum(-1), np.float64))


def _mcc(right: Floats, there: Floats, told: Floats) -> Any:
    """Matthews' correlation of truth and prediction, for any number of classes; 0 where one of them is constant."""
    num = there.sum(-1)
    above = right.sum(-1) * num - (there * told[..., : there.shape[-1]]).sum(-1)
    spread = (num**2 - (there**2).sum(-1)) * (num**2 - (told**2).sum(-1))
    return _ratio(above, np.asarray(np.sqrt(spread)))


_FORMULAS: dict[Metric, Callable[[Floats, Floats, Floats], Any]] = {
    "accuracy": _accuracy, "mean_per_class": _mean_per_class, "macro_f1": _macro_f1, "mcc": _mcc,
}  # fmt: skip
