"""Where strategies err: each number against scikit-learn or a sum by hand."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.mistakes import (
    auroc,
    calibration_error,
    highest,
    log_loss,
    mistakes,
    rank_statistic,
)
from bench.store import Store
from bench.store.predictions import Kept, Predictions, put
from tests.analysis.synthetic import World, make


def of(truth, probabilities, full=False):
    """As a final tells them, from the probabilities of all classes [M, K]."""
    truth, probabilities = np.asarray(truth, np.uint16), np.asarray(probabilities, np.float64)
    classes, index = probabilities.argmax(1).astype(np.uint16), np.arange(len(truth))
    return Predictions(
        classes == truth, truth, classes, np.log(probabilities[index, classes]).astype(np.float16),
        np.log(probabilities[index, truth]).astype(np.float16), probabilities.astype(np.float16) if full else None,
    )  # fmt: skip


def drawn(num, num_classes, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, num_classes, num)
    logits = rng.normal(size=(num, num_classes)) + 1.5 * np.eye(num_classes)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_log_loss_by_hand_and_by_scikit_learn():
    assert log_loss(of([0, 1], [[0.5, 0.5], [0.75, 0.25]])) == pytest.approx(math.log(2 * 4) / 2, rel=1e-3)
    theirs = pytest.importorskip("sklearn.metrics")
    truth, probabilities = drawn(500, 4)
    assert log_loss(of(truth, probabilities)) == pytest.approx(theirs.log_loss(truth, probabilities), rel=1e-3)


def test_calibration_error_by_hand():
    """Two bins are filled: four of 0.9, of which three are right, and two of 0.7, both right."""
    told = of([0, 0, 0, 1, 0, 0], [[0.9, 0.1]] * 4 + [[0.7, 0.3]] * 2)
    assert calibration_error(told) == pytest.approx((4 * abs(0.75 - 0.9) + 2 * abs(1 - 0.7)) / 6, abs=1e-3)


def test_calibration_error_by_a_plain_loop():
    truth, probabilities = drawn(400, 3)
    told = of(truth, probabilities)
    sure = np.exp(told.log_classes.astype(float))
    total = 0.0
    for b in range(15):
        inside = (sure > b / 15) & (sure <= (b + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(told.right[inside].mean() - sure[inside].mean())
    assert calibration_error(told) == pytest.approx(total / 400, abs=1e-12)
    assert math.isnan(calibration_error(dataclasses.replace(told, log_classes=np.full(400, np.nan, np.float16))))


def test_rank_statistic_by_hand():
    """Of six pairs four are in order, one is equal."""
    assert rank_statistic(np.array([1.0, 2, 2, 3, 0]), np.array([False, True, False, True, False])) == 5.5 / 6
    assert math.isnan(rank_statistic(np.array([1.0, 2]), np.array([True, True])))
    assert math.isnan(rank_statistic(np.array([1.0, math.nan]), np.array([True, False])))


@pytest.mark.parametrize("full", [False, True])
def test_auroc_of_two_classes_is_that_of_scikit_learn(full):
    theirs = pytest.importorskip("sklearn.metrics")
    truth, probabilities = drawn(600, 2)
    expected = theirs.roc_auc_score(truth, probabilities[:, 1])
    assert auroc(of(truth, probabilities, full), 2) == pytest.approx(expected, abs=1e-4)


def test_auroc_of_sure_answers_does_not_drown_in_half_precision():
    """Probabilities of 1 - 1e-5 and 1 - 2e-5 are one number there; their logarithms are two."""
    told = of([1, 0], [[1e-5, 1 - 1e-5], [2e-5, 1 - 2e-5]])
    assert auroc(told, 2) == 1.0


def test_auroc_of_more_classes_wants_all_probabilities():
    theirs = pytest.importorskip("sklearn.metrics")
    truth, probabilities = drawn(600, 4)
    expected = theirs.roc_auc_score(truth, probabilities, multi_class="ovr")
    assert auroc(of(truth, probabilities, full=True), 4) == pytest.approx(expected, abs=1e-4)
    assert math.isnan(auroc(of(truth, probabilities), 4))


def test_what_was_not_kept_is_no_number():
    told = Predictions(np.array([True, False]))
    assert all(map(math.isnan, (log_loss(told), calibration_error(told), auroc(told, 2))))


def with_predictions(results, folder, tell, num_classes=4):
    """`tell(strategy, repeat)`: a final's predictions, or None."""
    store, finals = Store(folder), results.finals.copy()
    handles = []
    for row in finals.to_dict("records"):
        told = tell(row["strategy"], row["repeat"]) if row["status"] == "ok" else None
        handles.append(Kept(store, row["key"], None if told is None else put(store, row["key"], told)))
    finals["predictions"] = pd.Series(handles, dtype="object", index=finals.index)
    finals["num_classes"] = num_classes
    return dataclasses.replace(results, finals=finals)


WORLD = World(datasets=("near",), budgets=(5,), strategies=("scratch", "linear_probe", "full_finetune"), gaps=False)


@pytest.fixture
def told(tmp_path):
    """Scratch keeps nothing, the probe bits alone."""

    def tell(strategy, repeat):
        whole = of(*drawn(60, 4, repeat))
        return {"scratch": None, "linear_probe": Predictions(whole.right), "full_finetune": whole}[strategy]

    return with_predictions(make(WORLD), tmp_path, tell)


def test_cells_over_their_repeats(told):
    found = mistakes(told.finals)
    assert found.problems == []
    assert [one.strategy for one in found.cells] == ["linear_probe", "full_finetune"]
    bits, whole = found.cells
    parts = [of(*drawn(60, 4, repeat)) for repeat in range(3)]
    for one in (bits, whole):
        assert one.scores["accuracy"].mean == pytest.approx(np.mean([part.right.mean() for part in parts]))
        assert one.scores["accuracy"].n == 3
    assert whole.log_loss.mean == pytest.approx(np.mean([log_loss(part) for part in parts]))
    assert bits.table is None
    assert np.isnan(bits.recalls).all()
    assert math.isnan(bits.scores["mcc"].mean)
    assert whole.table.sum() == 180
    truth, classes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "classes"))
    assert whole.recalls.tolist() == [(classes[truth == k] == k).mean() for k in range(4)]
    assert [one.strategy for one in highest(found.cells)] == ["full_finetune"]


def test_the_highest_mean_is_by_the_suites_own_metric(tmp_path):
    """The probe is right more often, and never where it is rare."""
    rare = np.array([0] * 18 + [1] * 2)
    answers = {"linear_probe": np.zeros(20, int), "full_finetune": np.array([0] * 14 + [1] * 6)}

    def tell(strategy, repeat):
        return of(rare, 0.2 + 0.6 * np.eye(2)[answers[strategy]]) if strategy in answers else None

    made = with_predictions(make(WORLD), tmp_path, tell, 2)
    for metric, best in (("accuracy", "linear_probe"), ("mean_per_class", "full_finetune")):
        (one,) = highest(mistakes(made.finals.assign(metric=metric)).cells)
        assert one.strategy == best


def test_another_answer_than_the_classes_has_a_column_of_its_own(tmp_path):
    def tell(strategy, repeat):
        one = of(*drawn(20, 4))
        return dataclasses.replace(one, classes=np.full(20, 4, np.uint16), right=np.zeros(20, bool)) if repeat else one

    for one in mistakes(with_predictions(make(WORLD), tmp_path, tell).finals).cells:
        assert one.table.shape == (4, 5)
        assert one.table[:, 4].sum() == 40


def test_what_cannot_be_read_is_told_once_and_counts_as_absent(told, tmp_path):
    lost, torn, *_ = sorted(Path(tmp_path).rglob("*.predictions"))
    lost.unlink()
    torn.write_bytes(b"")
    finals = told.finals.copy()
    finals["predictions"] = [dataclasses.replace(one) for one in finals["predictions"]]
    found = mistakes(finals)
    assert sorted(found.problems) == sorted([
        f"predictions missing: {lost}", f"predictions damaged: {torn}: 0 bytes of another content"])  # fmt: skip
    assert sum(one.scores["accuracy"].n for one in found.cells) == 4
    assert mistakes(finals).problems == found.problems


def test_auroc_of_a_cell_is_of_all_probabilities_that_were_kept(tmp_path):
    found = mistakes(with_predictions(make(WORLD), tmp_path, lambda *_: of(*drawn(60, 4), full=True)).finals)
    assert {one.auroc.mean for one in found.cells} == {auroc(of(*drawn(60, 4), full=True), 4)}
