"""Scores of confusion tables, and what each example adds to them."""

import numpy as np
import pytest

from bench.metrics import METRICS, confusion, contributions, score_of

DRAWN = [(20, 3, 0), (60, 2, 1), (200, 7, 2), (12, 10, 3)]  # examples, classes, seed


def drawn(num, num_classes, seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, num).astype(np.uint16)
    guess = rng.integers(0, num_classes, num).astype(np.uint16)
    return truth, np.where(rng.random(num) < 0.6, truth, guess).astype(np.uint16)


def test_a_table_by_hand():
    """Class 0: 3 of 4 right and called 4 times; class 1: 1 of 2 right, called twice."""
    truth, predicted = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    table = confusion(truth, predicted, 2)
    assert table.tolist() == [[3, 1], [1, 1]]
    assert table.dtype == np.int64
    assert score_of("accuracy", truth, predicted, 2) == 4 / 6
    assert score_of("mean_per_class", truth, predicted, 2) == (3 / 4 + 1 / 2) / 2
    assert score_of("macro_f1", truth, predicted, 2) == (6 / 8 + 2 / 4) / 2
    assert score_of("mcc", truth, predicted, 2) == pytest.approx((3 * 1 - 1 * 1) / np.sqrt(4 * 4 * 2 * 2))


@pytest.mark.parametrize("case", DRAWN)
def test_scores_are_those_of_scikit_learn(case):
    theirs = pytest.importorskip("sklearn.metrics")
    truth, predicted = drawn(*case)
    table = confusion(truth, predicted, case[1])
    there = np.unique(truth)
    assert (table == theirs.confusion_matrix(truth, predicted, labels=range(case[1]))).all()
    expected = {
        "accuracy": theirs.accuracy_score(truth, predicted),
        "mean_per_class": theirs.recall_score(truth, predicted, average="macro", labels=there),
        "macro_f1": theirs.f1_score(truth, predicted, average="macro", labels=there),
        "mcc": theirs.matthews_corrcoef(truth, predicted),
    }
    for metric in METRICS:
        assert score_of(metric, truth, predicted, case[1]) == pytest.approx(expected[metric], abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", DRAWN)
def test_contributions_are_the_jackknife_and_their_mean_the_score(metric, case):
    truth, predicted = drawn(*case)
    num, whole = len(truth), score_of(metric, truth, predicted, case[1])
    found = contributions(metric, truth, predicted, case[1])
    assert found.dtype == np.float64
    assert found.mean() == pytest.approx(whole, abs=1e-12)
    if metric == "accuracy":
        assert found.tolist() == (truth == predicted).astype(float).tolist()
        return
    left = [score_of(metric, np.delete(truth, n), np.delete(predicted, n), case[1]) for n in range(num)]
    by_hand = num * whole - (num - 1) * np.array(left)
    assert found == pytest.approx(by_hand - by_hand.mean() + whole, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_none_of_the_classes_is_wrong(metric):
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 7, 1, 9])
    table = confusion(truth, predicted, 2)
    assert table.tolist() == [[1, 0, 1], [0, 1, 1]]
    expected = {"accuracy": 0.5, "mean_per_class": 0.5, "macro_f1": 2 / 3}.get(metric, 4 / np.sqrt(8 * 10))
    assert score_of(metric, truth, predicted, 2) == pytest.approx(expected)
    assert contributions(metric, truth, predicted, 2).mean() == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_constant_answers_and_single_examples_have_scores(metric):
    assert score_of(metric, np.array([0, 1]), np.array([0, 0]), 2) == pytest.approx(
        {"accuracy": 0.5, "mean_per_class": 0.5, "macro_f1": 1 / 3, "mcc": 0.0}[metric]
    )
    one = contributions(metric, np.array([1]), np.array([1]), 3)
    assert one.tolist() == [0.0 if metric == "mcc" else 1.0]
    assert score_of(metric, np.zeros(0, np.int64), np.zeros(0, np.int64), 2) == 0.0


def test_the_worst_correlation_is_minus_one():
    assert score_of("mcc", np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]), 2) == -1.0


def test_many_classes_take_little_memory(monkeypatch):
    """Pieces of any size give the same."""
    truth, predicted = drawn(500, 40, 5)
    whole = contributions("macro_f1", truth, predicted, 40)
    monkeypatch.setattr("bench.metrics.AT_ONCE", 100)
    assert contributions("macro_f1", truth, predicted, 40).tolist() == whole.tolist()
