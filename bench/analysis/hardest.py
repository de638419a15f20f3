"""Which test examples most finals tell wrong, among those that were kept to be shown."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.analysis.cells import once, records
from bench.store.predictions import Predictions
from bench.store.samples import Samples

MOST = 12


@dataclass(frozen=True)
class Hard:
    number: int  # among the kept examples
    label: int
    wrong: int  # finals that tell it wrong
    asked: int  # finals that it was a test example of
    answer: int  # the commonest wrong class, of several the lowest
    times: int  # finals that gave this answer


@dataclass(frozen=True)
class Hardest:
    examples: list[Hard]
    finals: int  # whose answers were read


@dataclass
class _Asked:
    num: int = 0
    answers: Counter[int] = field(default_factory=Counter)  # wrong ones


def hardest(finals: pd.DataFrame, kept: Samples) -> Hardest:
    """Of the finals of one data set, each training once. By the share that is wrong; where repeats draw their test
    examples anew, one counts that half as many finals were asked about as about the one that was asked most."""
    places = np.asarray([one.place for one in kept.tested], np.int64)
    labels = np.asarray([one.label for one in kept.tested], np.int64)
    asked = [_Asked() for _ in kept.tested]
    num_finals = 0
    for row in records(once(finals)):
        told = row["predictions"].load() if row["predictions"] is not None else None
        if told is None or (answers := _answers(told, places, labels)) is None:
            continue
        num_finals += 1
        for number, answer in answers:
            asked[number].num += 1
            if answer != labels[number]:
                asked[number].answers[answer] += 1
    most = max((one.num for one in asked), default=0)
    found = [_of(number, int(labels[number]), one) for number, one in enumerate(asked)
             if one.answers and 2 * one.num >= most]  # fmt: skip
    found.sort(key=lambda one: (-one.wrong / one.asked, -one.asked, one.number))
    return Hardest(found[:MOST], num_finals)


def _answers(
    told: Predictions, places: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
) -> list[tuple[int, int]] | None:
    """Of the kept examples that this final was tested on: which, and the class that was answered. None where only
    right and wrong were kept, and where true classes differ: then the examples are of other data."""
    if told.truth is None or told.classes is None:
        return None
    if told.images is None:
        numbers, rows = np.arange(len(places)), places
        if len(places) and places.max() >= len(told):
            return None
    else:
        _, numbers, rows = np.intersect1d(places, told.images, assume_unique=True, return_indices=True)
    if (told.truth[rows] != labels[numbers]).any():
        return None
    return list(zip(numbers.tolist(), told.classes[rows].tolist(), strict=True))


def _of(number: int, label: int, asked: _Asked) -> Hard:
    answer, times = min(asked.answers.items(), key=lambda one: (-one[1], one[0]))
    return Hard(number, label, asked.answers.total(), asked.num, answer, times)
