"""What finals tell of each test example: in every way of training, the numbers of the record itself."""

import dataclasses
import itertools

import numpy as np
import pytest

from bench.engine.common.context import MOST_PROBABILITIES, Context
from bench.engine.jobs.perform import perform
from bench.keys import digest
from bench.metrics import METRICS, contributions
from bench.spec.job import Job
from bench.spec.refs import Engine
from bench.store.predictions import get
from tests.engine import toys

pytestmark = pytest.mark.usefixtures("tiny")

FOLDS = dataclasses.replace(toys.SEARCH, folds=2)


def told(context, record):
    assert record.status == "ok", record.error
    return get(context.store, record.key, record.result["predictions"])


def agrees(context, record, num_classes=toys.CLASSES):
    """Predictions, score and loss of one final are one thing."""
    found, result = told(context, record), record.result
    assert len(found) == result["num_test"]
    each = contributions(result["metric"], found.truth, found.classes, num_classes)
    assert each.mean() == pytest.approx(result["score"], abs=1e-12)
    assert (found.right == (found.truth == found.classes)).all()
    if found.log_truth is not None:
        assert -found.log_truth.astype(np.float64).mean() == pytest.approx(result["loss"], rel=2e-3)
        assert (found.log_truth <= found.log_classes).all()
        assert (found.log_truth == found.log_classes)[found.right].all()
    return found


def by_metric(metric, **fields):
    return toys.fit_spec(data=dataclasses.replace(toys.DATA, metric=metric), search=FOLDS, **fields)


@pytest.mark.parametrize(("way", "metric"), [
    *(("full_finetune", metric) for metric in METRICS),
    *zip(("linear_probe", "ridge_probe", "logistic_probe", "prototypes", "knn", "soup", "wise_ft"),
         itertools.cycle(METRICS), strict=False),
])  # fmt: skip
def test_the_mean_of_contributions_is_the_score(tmp_path, way, metric):
    context = toys.context(tmp_path)
    recipe = toys.recipe(way, 6)
    spec = by_metric(metric, recipe=recipe)
    if recipe.solve is not None:
        spec = dataclasses.replace(spec, search=dataclasses.replace(FOLDS, trials=1))
    trials, final = toys.everything(context, spec)
    found = agrees(context, final)
    assert found.truth.tolist() == context.data(spec.data).test.labels.tolist(), "in the order of the split"
    is_likelihood = recipe.solve is None or way == "logistic_probe"
    assert (found.log_classes is not None) == (found.log_truth is not None) == is_likelihood
    assert found.probabilities is None
    assert all("predictions" not in trial.result for trial in trials)


@pytest.mark.parametrize("metric", ["accuracy", "mcc"])
def test_every_network_of_a_fleet_tells_its_own(tmp_path, metric, double):
    found = {}
    for name, engine in (("alone", Engine(fleet=1)), ("fleet", Engine())):
        context = toys.context(tmp_path / name, engine=engine)
        spec, source = toys.pretrained(context, recipe=toys.recipe("linear_probe", 6), search=FOLDS)
        spec = dataclasses.replace(spec, data=dataclasses.replace(toys.DATA, metric=metric))
        repeats = [dataclasses.replace(spec, repeat=repeat) for repeat in range(3)]
        jobs = [toys.search_and_final(one, source.key) for one in repeats]
        assert perform([search for search, _ in jobs], context)
        assert perform([final for _, final in jobs], context)
        records = [context.store.read(final.key) for _, final in jobs]
        assert {record.cost["engine"]["replicas"] for record in records} == {3 if name == "fleet" else 1}
        found[name] = [agrees(context, record).classes.tolist() for record in records]
    assert found["fleet"] == found["alone"]
    assert found["fleet"][0] != found["fleet"][1]


@pytest.mark.parametrize("metric", ["macro_f1", "mcc"])
def test_a_trial_is_scored_on_the_examples_of_all_folds_together(tmp_path, metric):
    """By the average of folds these would come to something else."""
    context = toys.context(tmp_path)
    trials, _ = toys.everything(context, by_metric(metric, recipe=toys.recipe("linear_probe", 6)))
    for trial in trials:
        assert len(trial.result["folds"]) == 2
        assert trial.result["score"] == trial.result["rungs"][-1]["score"]
    means = [np.mean([fold["score"] for fold in trial.result["folds"]]) for trial in trials]
    assert any(abs(trial.result["score"] - mean) > 1e-6 for trial, mean in zip(trials, means, strict=True))


def test_a_closed_form_pools_its_folds_too(tmp_path):
    context = toys.context(tmp_path)
    spec = by_metric("mcc", recipe=toys.recipe("ridge_probe", 6))
    trials, final = toys.everything(context, spec)
    means = [np.mean([fold["score"] for fold in trial.result["folds"]]) for trial in trials]
    assert any(abs(trial.result["score"] - mean) > 1e-6 for trial, mean in zip(trials, means, strict=True))
    assert final.result["metric"] == "mcc"


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_below_nought_is_recorded_like_any(tmp_path, metric, monkeypatch):
    """Planted: test labels turned by one class after training would have learned the others."""
    context = toys.context(tmp_path)
    spec = by_metric(metric, recipe=toys.recipe("ridge_probe", 6))
    data = context.data(spec.data)
    turned = dataclasses.replace(data.test, labels=(data.test.labels + 1) % toys.CLASSES)
    context._loaded[digest(spec.data)] = dataclasses.replace(data, test=turned)
    _, final = toys.everything(context, spec)
    agrees(context, final)
    assert (final.result["score"] < 0) == (metric == "mcc")
    assert context.store.read(final.key).final.score == final.result["score"]


@pytest.mark.parametrize("keeps", ["none", "bits", "classes", "full"])
@pytest.mark.parametrize("way", ["linear_probe", "logistic_probe", "ridge_probe"])
def test_as_much_is_kept_as_the_suite_asks_for(tmp_path, keeps, way):
    context = toys.context(tmp_path, keeps=keeps)
    spec = toys.fit_spec(recipe=toys.recipe(way, 6))
    _, final = toys.everything(context, spec)
    if keeps == "none":
        assert "predictions" not in final.result
        assert not list(context.store.runs.rglob("*.predictions"))
        return
    found = told(context, final)
    assert found.right.mean() == final.result["score"]
    assert (found.truth is not None) == (found.classes is not None) == (keeps in ("classes", "full"))
    assert (found.probabilities is not None) == (keeps == "full" and way != "ridge_probe")
    if found.probabilities is not None:
        assert found.probabilities.shape == (final.result["num_test"], toys.CLASSES)
        assert found.probabilities.astype(np.float64).sum(1) == pytest.approx(1, abs=3e-3)
        assert np.log(found.probabilities[np.arange(len(found)), found.truth].astype(np.float64)) == pytest.approx(
            found.log_truth.astype(np.float64), abs=2e-2, rel=2e-2)  # fmt: skip


def test_it_moves_no_number(tmp_path):
    records = []
    for keeps in ("none", "full"):
        context = toys.context(tmp_path / keeps, keeps=keeps)
        trials, final = toys.everything(context, toys.fit_spec())
        result = {name: value for name, value in final.result.items() if name != "predictions"}
        records.append([*map(toys.metrics, trials), final.key, result])
    assert records[0] == records[1]


def test_too_many_probabilities_are_not_kept_and_that_is_said(tmp_path, monkeypatch):
    said = []
    context = toys.context(tmp_path, keeps="full", notice=said.append)
    monkeypatch.setattr("bench.engine.common.context.MOST_PROBABILITIES", 103 * toys.CLASSES * 2)
    _, final = toys.everything(context, toys.fit_spec(recipe=toys.recipe("linear_probe", 6)))
    found = told(context, final)
    assert (found.probabilities, found.log_truth is None) == (None, False)
    assert said == ["tiny: probabilities of 103 test examples and 3 classes would take 0 MiB for each final; only "
                    "those of the predicted and the true class are kept"]  # fmt: skip
    assert MOST_PROBABILITIES == 64 << 20


def test_points_that_were_not_chosen_keep_none(tmp_path):
    context = toys.context(tmp_path)
    for recipe in (toys.recipe("linear_probe", 6), toys.recipe("ridge_probe", 6)):
        spec = toys.fit_spec(recipe=recipe)
        _, final = toys.everything(context, spec)
        job = Job("unchosen", spec, (Job("search", spec).key,))
        assert perform(job, context)
        assert all("predictions" not in context.store.read(key).result for key in job.record_keys)
        assert len(told(context, final)) == 103
    assert len(list(context.store.runs.rglob("*.predictions"))) == 2


def test_a_final_that_is_made_again_leaves_one_file(tmp_path):
    context = toys.context(tmp_path)
    _, final = toys.everything(context, toys.fit_spec())
    context.store.path(final.key).unlink()
    _, again = toys.everything(context, toys.fit_spec())
    assert again.result == final.result
    assert len(list(context.store.runs.rglob("*.predictions"))) == 1


def test_a_context_keeps_classes_by_itself():
    assert Context.keeps == "classes"
