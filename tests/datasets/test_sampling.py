"""Subsets nest, keep the classes' shares, and follow their seed alone; hold-outs and folds count every image once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.sampling import (
    SamplingError,
    split_counts,
    split_folds,
    split_holdout,
    subset_fraction,
    subset_full,
    subset_per_class,
    subset_total,
)

seeds = st.integers(0, 2**63 - 1)


@st.composite
def labelled(draw, least=1):
    """Labels of up to six classes in some order."""
    sizes = draw(st.lists(st.integers(least, 15), min_size=1, max_size=6))
    labels = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    return np.array(draw(st.permutations(labels.tolist())), dtype=np.int64)


def counts(labels, chosen=None):
    return np.bincount(labels if chosen is None else labels[chosen], minlength=labels.max() + 1)


def is_subset(fewer, more):
    return set(fewer.tolist()) <= set(more.tolist())


def ascending(chosen):
    return (np.diff(chosen) > 0).all()


@given(labelled(), seeds, st.data())
def test_labels_per_class_takes_as_many_of_each_and_nests(labels, seed, data):
    smallest = int(counts(labels).min())
    k = data.draw(st.integers(1, smallest))
    chosen = subset_per_class(labels, k, seed)
    assert ascending(chosen)
    assert (counts(labels, chosen) == k).all()
    assert is_subset(chosen, subset_per_class(labels, smallest, seed))


@given(labelled(), seeds, st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)).map(sorted))
def test_fraction_takes_a_share_of_each_and_nests(labels, seed, fractions):
    few, many = (subset_fraction(labels, f, seed) for f in fractions)
    assert ascending(few)
    assert is_subset(few, many)
    exact = fractions[0] * counts(labels)
    assert (counts(labels, few) >= np.maximum(exact - 1e-6, 1)).all()
    assert (counts(labels, few) < exact + 1).all()


def test_fraction_is_not_rounded_up_by_a_rounding_error():
    labels = np.zeros(100, np.int64)
    assert len(subset_fraction(labels, 0.07, 0)) == 7
    assert len(subset_fraction(labels, 1.0, 0)) == 100


@given(labelled(), seeds, st.data())
def test_total_is_as_even_as_the_classes_allow_and_nests(labels, seed, data):
    total = data.draw(st.integers(1, len(labels)))
    chosen = subset_total(labels, total, seed)
    assert ascending(chosen)
    assert len(chosen) == total
    assert is_subset(chosen, subset_total(labels, len(labels), seed))
    if total < len(labels):
        assert is_subset(chosen, subset_total(labels, total + 1, seed))
    have = counts(labels, chosen)
    exhausted = have == counts(labels)
    assert (have[~exhausted] >= have.max() - 1).all()


@given(labelled(), seeds, st.data())
def test_budgets_of_different_kinds_nest_too(labels, seed, data):
    k = data.draw(st.integers(1, int(counts(labels).min())))
    per_class = subset_per_class(labels, k, seed)
    assert (per_class == subset_total(labels, k * len(counts(labels)), seed)).all()
    assert is_subset(per_class, subset_full(labels))


@given(labelled(), seeds)
def test_the_seed_decides_alone(labels, seed):
    assert (subset_total(labels, 1, seed) == subset_total(labels.copy(), 1, seed)).all()


def test_another_seed_takes_other_images():
    labels = np.repeat(np.arange(5), 100)
    chosen = {tuple(subset_per_class(labels, 10, seed)) for seed in range(20)}
    assert len(chosen) == 20


def test_every_image_has_the_same_chance():
    labels = np.repeat(np.arange(2), 10)
    times = np.zeros(20)
    for seed in range(2000):
        times[subset_per_class(labels, 3, seed)] += 1
    assert np.abs(times - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


@given(labelled(), seeds, st.floats(0.01, 0.99))
def test_holdout_takes_from_every_class_and_leaves_some(labels, seed, share):
    parts = split_holdout(labels, share, seed)
    assert sorted([*parts.train, *parts.validation]) == list(range(len(labels)))
    sizes, held = counts(labels), counts(labels, parts.validation)
    assert (held < sizes).all()
    assert (held[sizes >= 2] >= 1).all()
    room = (np.floor(share * sizes) >= 1) & (np.ceil(share * sizes) < sizes)
    assert (np.abs(held - share * sizes)[room] < 1 + 1e-9).all()


def test_counts_are_set_aside_as_asked_for():
    labels = np.repeat(np.arange(3), [10, 4, 1])
    found = [split_counts(labels, np.array([3, 4, 0]), seed) for seed in range(2)]
    for parts in found:
        assert np.bincount(labels[parts.validation], minlength=3).tolist() == [3, 4, 0]
        assert sorted([*parts.train, *parts.validation]) == list(range(15))
    assert found[0].validation.tolist() != found[1].validation.tolist()


def test_holdout_holds_its_share_where_the_classes_allow():
    labels = np.repeat(np.arange(10), 12)
    assert len(split_holdout(labels, 0.2, 0).validation) == 24
    assert len(split_holdout(np.repeat(np.arange(10), 100), 0.2, 0).validation) == 200


@given(labelled(least=2), seeds, st.integers(2, 8))
def test_folds_use_each_image_once_and_are_even(labels, seed, num_folds):
    folds = split_folds(labels, num_folds, seed)
    assert folds.num_folds == min(num_folds, counts(labels).max())
    assert bool(folds.note) == (folds.num_folds < num_folds)
    per_fold = np.stack([counts(labels, part.validation) for part in folds])
    assert (per_fold.sum(axis=0) == counts(labels)).all()
    assert (np.ptp(per_fold, axis=0) <= 1).all()
    assert np.ptp(per_fold.sum(axis=1)) <= 1
    for part in folds:
        assert sorted([*part.train, *part.validation]) == list(range(len(labels)))
        assert (counts(labels, part.train) >= 1).all()


def test_folds_say_why_there_are_fewer():
    folds = split_folds(np.array([0, 0, 1, 1]), 3, 0)
    assert folds.num_folds == 2
    assert folds.note == "2 folds instead of 3: the largest class has 2 examples"


def test_folds_say_which_class_stands_alone():
    folds = split_folds(np.array([0, 0, 0, 1]), 3, 0, names=("cat", "dog"))
    assert folds.note == "never seen in training when scored: 'dog' has 1"


def test_folds_of_single_images_are_refused():
    with pytest.raises(SamplingError, match="folds: 3 asked for, but no class has two examples"):
        split_folds(np.arange(5), 3, 0)


def test_classes_that_are_too_small_are_named_with_their_sizes():
    labels = np.array([0, 0, 0, 1, 2, 2])
    with pytest.raises(SamplingError, match=r"labels_per_class: 3 asked for, but 'dog' has 1, 'fox' has 2$"):
        subset_per_class(labels, 3, 0, names=("cat", "dog", "fox"))
    with pytest.raises(SamplingError, match="class 0 has 1, .* and 12 more classes"):
        subset_per_class(np.arange(20), 2, 0)
    with pytest.raises(SamplingError, match=r"total: 7 asked for, but there are only 6: class 0 has 3, class 1 has 1"):
        subset_total(labels, 7, 0)
