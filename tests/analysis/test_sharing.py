"""The share of images that two repeats have in common, against what is really drawn."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from bench.analysis import sharing
from bench.analysis.sharing import drawn, label_overlap
from bench.datasets.base import Dataset, DatasetFacts, Split
from bench.engine.common.labels import labelled
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef, LabelBudget
from tests.planning.test_job_keys import FIT

TRAIN, TEST = (60, 20, 9), (15, 5, 2)
FACTS = DatasetFacts(3, 8, sum(TRAIN), sum(TEST), min(TRAIN), "x", train_sizes=TRAIN, test_sizes=TEST, division=())
BUDGETS = [
    LabelBudget("labels_per_class", 8.0), LabelBudget("fraction", 0.25), LabelBudget("total", 40.0), LabelBudget("full")
]  # fmt: skip
REPEATS = 120  # enough of them that the mean over their pairs is known to a third of a point


def splits():
    labels = [np.repeat(np.arange(3), sizes).astype(np.int64) for sizes in (TRAIN, TEST)]
    return Dataset(("a", "b", "c"), *(Split.of_images(np.zeros((len(one), 1, 1, 3), np.uint8), one) for one in labels))


def spec(budget: LabelBudget, repeat: int) -> FitSpec:
    return dataclasses.replace(FIT, data=DataRef("x", {}, "x", 3), budget=budget, repeat=repeat)


def mean_share(sets):
    return np.mean([len(one & other) / len(one) for one, other in itertools.combinations(sets, 2)])


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.text)
@pytest.mark.parametrize("is_resplit", [False, True])
def test_the_expected_share_of_labels_is_that_of_the_draws(budget, is_resplit):
    whole = splits()
    found = []
    for repeat in range(REPEATS):
        rows = whole.divided(repeat)[0] if is_resplit else np.arange(sum(TRAIN))
        chosen = labelled(spec(budget, repeat), whole.pool.labels[rows])
        found.append(set(rows[chosen].tolist()))
        assert sum(drawn(budget, TRAIN)) == pytest.approx(len(chosen))
    assert label_overlap(budget, FACTS, is_resplit) == pytest.approx(mean_share(found), abs=0.01)


def test_the_expected_share_of_test_images_is_that_of_the_divisions():
    sets = [set(splits().divided(repeat)[1].tolist()) for repeat in range(REPEATS)]
    assert sharing.test_overlap(FACTS, True) == pytest.approx(mean_share(sets), abs=0.01)
    assert sharing.test_overlap(FACTS, False) == 1.0


def test_all_labels_of_one_split_are_the_same_ones():
    for facts in (FACTS, dataclasses.replace(FACTS, train_sizes=())):
        assert label_overlap(LabelBudget("full"), facts, False) == 1.0


def test_a_total_goes_round_the_classes_until_the_small_ones_are_empty():
    assert drawn(LabelBudget("total", 40.0), TRAIN) == [16, 15, 9]
    assert drawn(LabelBudget("total", 41.0), (60, 20, 20, 9)) == [11, 10.5, 10.5, 9]
    assert drawn(LabelBudget("total", 89.0), TRAIN) == list(TRAIN)


def test_classes_of_unknown_size_are_told_where_they_can_only_be_equal():
    equal = DatasetFacts(3, 8, 60, 103, 20, "x")
    assert label_overlap(LabelBudget("labels_per_class", 5.0), equal, False) == 0.25
    unknown = dataclasses.replace(equal, num_train=61)
    assert math.isnan(label_overlap(LabelBudget("labels_per_class", 5.0), unknown, False))
    assert math.isnan(label_overlap(LabelBudget("labels_per_class", 5.0), equal, True))
    assert math.isnan(sharing.test_overlap(equal, True))
