"""Which images a repeat may learn from: the label budget, the splits inside it, and nobody's choice but the seed's."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from bench.engine.common import labels as labels_of
from bench.spec.refs import DataRef, LabelBudget
from tests.engine import toys

LABELS = np.random.default_rng(0).permutation(np.arange(60) % 3)


def spec(**fields):
    return toys.fit_spec(**fields)


def with_search(**fields):
    return spec(search=dataclasses.replace(toys.SEARCH, **fields))


def chosen(one, labels=LABELS):
    return set(labels_of.labelled(one, labels).tolist())


def budget(kind, amount=0.0):
    return LabelBudget(kind, float(amount))


BUDGETS = [("labels_per_class", [1, 2, 5, 19, 20]), ("fraction", [0.05, 0.1, 0.35, 1.0]), ("total", [3, 7, 30, 60])]


@pytest.mark.parametrize(("kind", "amounts"), BUDGETS)
def test_budgets_nest(kind, amounts):
    subsets = [chosen(spec(budget=budget(kind, amount))) for amount in amounts]
    assert all(small < large for small, large in pairwise(subsets))
    assert subsets[-1] == chosen(spec(budget=budget("full"))) == set(range(60))


def test_budgets_of_different_kinds_nest_too():
    assert chosen(spec(budget=budget("labels_per_class", 5))) == chosen(spec(budget=budget("fraction", 0.25)))
    assert chosen(spec(budget=budget("labels_per_class", 5))) == chosen(spec(budget=budget("total", 15)))


def test_a_budget_is_as_large_as_it_says():
    for amount in (1, 4, 20):
        index = labels_of.labelled(spec(budget=budget("labels_per_class", amount)), LABELS)
        assert np.bincount(LABELS[index]).tolist() == [amount] * 3
        assert index.tolist() == sorted(set(index.tolist()))
    assert len(chosen(spec(budget=budget("total", 31)))) == 31
    assert len(chosen(spec(budget=budget("fraction", 0.1)))) == 6


CHANGED = [
    {"recipe": toys.recipe("linear_probe", 6)},
    {"recipe": toys.recipe("scratch", 6)},
    {"backbone": toys.BackboneRef("toy_vit", {}, "fine", toys.Weights("file", "ab"))},
    {"training": dataclasses.replace(toys.TRAINING, steps=99, optimizer="adamw")},
    {"pipeline": dataclasses.replace(toys.PIPELINE, image_size=16)},
    {"search": dataclasses.replace(toys.SEARCH, trials=9, sampler="tpe", lr_low=1e-5)},
]


@pytest.mark.parametrize("fields", CHANGED)
def test_every_strategy_and_backbone_gets_the_same_labels_and_splits(fields):
    """Else comparisons were not paired."""
    one, other = spec(), spec(**fields)
    index = labels_of.labelled(one, LABELS)
    assert np.array_equal(index, labels_of.labelled(other, LABELS))
    for a, b in zip(labels_of.splits(one, LABELS[index]), labels_of.splits(other, LABELS[index]), strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[1], b[1])


@pytest.mark.parametrize("fields", [{"repeat": 1}, {"seed": 1}, {"data": DataRef("other", {}, "tiny-0", 3)}])
def test_another_repeat_seed_or_dataset_has_other_labels_and_splits(fields):
    one, other = spec(), spec(**fields)
    assert chosen(one) != chosen(other)
    same = np.repeat([0, 1, 2], 8)
    assert labels_of.splits(one, same)[0][1].tolist() != labels_of.splits(other, same)[0][1].tolist()


def test_repeats_are_all_different():
    subsets = [frozenset(chosen(spec(repeat=repeat))) for repeat in range(20)]
    assert len(set(subsets)) == 20


@pytest.mark.parametrize("holdout", [0.1, 0.25, 0.5])
def test_validation_comes_out_of_the_label_budget(holdout):
    one = with_search(holdout=holdout)
    index = labels_of.labelled(one, LABELS)
    ((train, validation),) = labels_of.splits(one, LABELS[index])
    assert not set(train) & set(validation)
    assert sorted([*train, *validation]) == list(range(len(index)))
    assert len(validation) == pytest.approx(holdout * len(index), abs=3)
    assert set(LABELS[index][validation]) == set(LABELS[index][train]) == {0, 1, 2}


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_score_every_label_once_and_never_one_they_trained_on(folds):
    one = with_search(folds=folds)
    index = labels_of.labelled(one, LABELS)
    parts = labels_of.splits(one, LABELS[index])
    assert len(parts) == folds
    assert sorted(np.concatenate([validation for _, validation in parts])) == list(range(len(index)))
    for train, validation in parts:
        assert not set(train) & set(validation)
        assert len(train) + len(validation) == len(index)
        assert set(LABELS[index][train]) == {0, 1, 2}
