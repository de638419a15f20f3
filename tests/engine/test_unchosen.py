"""Finals of the points that a search did not choose: what each comes to, and that nothing else reads them."""

import dataclasses

import pytest

from bench.engine.jobs.perform import perform
from bench.spec.job import Job
from bench.spec.refs import Engine
from tests.engine import toys

pytestmark = pytest.mark.usefixtures("tiny")

SEARCH = dataclasses.replace(toys.SEARCH, trials=4)
HALVING = dataclasses.replace(SEARCH, trials=5, pruner="halving", first_rung=2 / 9, folds=2)


def others_of(context, spec):
    """The job of the unchosen points after all it needs; the trials, the final, the job's records."""
    trials, final = toys.everything(context, spec)
    once = dataclasses.replace(spec, training=dataclasses.replace(spec.training, evaluations=1))
    job = Job("unchosen", once, (Job("search", spec).key,))
    assert perform(job, context)
    return job, trials, final, [context.store.read(key) for key in job.record_keys]


@pytest.mark.parametrize("search", [SEARCH, HALVING])
def test_every_other_point_has_a_final_of_its_own(tmp_path, search):
    """It comes to what a final would that had been chosen: the same training at the point of the trial."""
    context = toys.context(tmp_path)
    spec = toys.fit_spec(search=search)
    _, trials, final, found = others_of(context, spec)
    assert {r.spec["number"] for r in found} | {final.result["trial"]} == set(range(search.trials))
    assert len(found) == search.trials - 1
    for record in found:
        assert (record.kind, record.status) == ("unchosen", "ok")
        point = trials[record.spec["number"]].spec["hyper"]
        assert record.spec["hyper"] == point
        # a search with nothing but this point chooses it
        lone = dataclasses.replace(
            search, trials=1, sampler="grid", lr_low=point["lr"] * 0.5, lr_high=point["lr"] * 2, folds=0, pruner="none"
        )
        _, by_itself = toys.everything(context, dataclasses.replace(spec, search=lone))
        assert by_itself.result["lr"] == pytest.approx(point["lr"], rel=1e-12)
        assert record.result["score"] == by_itself.result["score"]
        assert record.result["loss"] == pytest.approx(by_itself.result["loss"], rel=1e-6)
        assert len(record.result["curve"]) == 1
    assert len({round(r.result["loss"], 9) for r in [*found, final]}) == search.trials


def test_a_fleet_comes_to_the_same(tmp_path):
    spec = toys.fit_spec(search=SEARCH, recipe=toys.recipe("linear_probe", 6))
    *_, alone = others_of(toys.context(tmp_path / "alone"), spec)
    *_, together = others_of(toys.context(tmp_path / "fleet", engine=Engine()), spec)
    assert [r.result["score"] for r in together] == [r.result["score"] for r in alone]
    assert {r.cost["engine"]["replicas"] for r in together} == {3}


def test_what_was_interrupted_goes_on(tmp_path):
    context = toys.context(tmp_path)
    job, _, _, found = others_of(context, toys.fit_spec(search=SEARCH))
    context.store.path(job.record_keys[1]).unlink()
    assert perform(job, context)
    assert list(map(toys.metrics, [context.store.read(key) for key in job.record_keys])) == list(
        map(toys.metrics, found)
    )


def test_a_point_without_a_score_is_not_trained_again(tmp_path, monkeypatch):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(search=dataclasses.replace(SEARCH, lr_high=1e30))
    _, trials, _, found = others_of(context, spec)
    lost = {n for n, trial in enumerate(trials) if trial.status == "diverged"}
    assert lost
    for record in found:
        assert (record.status == "diverged") == (record.spec["number"] in lost)
        if record.status == "diverged":
            assert record.error.startswith("its trial has no score (diverged): loss not finite")
            assert record.cost == {}


def test_where_nothing_can_be_chosen_nothing_is_made(tmp_path):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(search=dataclasses.replace(SEARCH, lr_low=1e29, lr_high=1e30))
    _, _, final, found = others_of(context, spec)
    assert final.status == "failed"
    assert [record.status for record in found] == ["diverged"] * 3


def test_penalties_of_a_closed_form(tmp_path):
    context = toys.context(tmp_path)
    recipe = toys.recipe("ridge_probe", 6)
    spec, _ = toys.pretrained(context, recipe=recipe, search=dataclasses.replace(SEARCH, trials=5))
    job, trials, final, found = others_of(context, spec)
    assert {r.spec["number"] for r in found} | {final.result["trial"]} == set(range(5))
    assert {r.kind for r in found} == {"unchosen"}
    for record in found:
        assert record.status == "ok"
        assert record.result["penalty"] == trials[record.spec["number"]].spec["hyper"]["penalty"]
    assert len({r.result["penalty"] for r in [*found, final]}) == 5
