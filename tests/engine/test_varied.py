"""Options that are searched: each trial is the strategy with its option's value, and nothing but that."""

import dataclasses

import pytest

from bench.engine.common.history import read_history
from bench.engine.jobs.perform import perform
from bench.engine.search.points import ask_cohort, at_point, choose
from bench.planning.halving import cohorts
from bench.spec.job import Job
from bench.spec.refs import Engine
from bench.spec.spans import Varied, choices, log
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]

BRACKET = dataclasses.replace(toys.SEARCH, trials=4, sampler="bracket", lr_low=1e-3, lr_high=1e-2)
HALVED = dataclasses.replace(toys.SEARCH, trials=5, sampler="grid", pruner="halving", first_rung=2 / 9, folds=2)
SPANS = {"l2_sp": ("alpha", log(0.001, 1.0)), "lora": ("rank", choices(1, 2, 4))}
OTHERS = {"l2_sp": {"beta": 0.01}, "lora": {"alpha": 8.0, "targets": "auto"}}
BOTH = pytest.mark.parametrize("name", SPANS)


def varied(name, search=BRACKET, **fields):
    option, span = SPANS[name]
    recipe = toys.recipe(name, 6, **{option: span.at(0.5)})
    how = Varied(name, OTHERS[name], ((option, span),))
    return toys.fit_spec(recipe=recipe, search=search, varied=how, **fields)


def plain(name, value, rate):
    """The same strategy with that value written in the suite, at that rate alone."""
    search = dataclasses.replace(toys.SEARCH, trials=1, sampler="grid", lr_low=rate / 2, lr_high=rate * 2)
    return toys.fit_spec(recipe=toys.recipe(name, 6, **{SPANS[name][0]: value}), search=search)


@BOTH
def test_each_trial_is_the_strategy_with_that_value(tmp_path, name):
    """As if a suite had written it: the same score and loss as a search of that value and rate alone."""
    context, option = toys.context(tmp_path), SPANS[name][0]
    trials, final = toys.everything(context, varied(name))
    values = [record.spec["hyper"]["options"][option] for record in trials]
    assert len(set(values)) > 1
    for record, value in zip(trials, values, strict=True):
        assert record.status == "ok"
        assert record.result["options"] == {option: value}
        (alone,), last = toys.everything(context, plain(name, value, record.spec["hyper"]["lr"]))
        assert record.result["score"] == alone.result["score"]
        assert record.result["loss"] == pytest.approx(alone.result["loss"], rel=1e-5)
        assert record.cost["logical"]["added_params"] == alone.cost["logical"]["added_params"]
        if record.spec["number"] == final.result["trial"]:
            assert final.result["options"] == {option: value}
            assert final.result["score"] == last.result["score"]
            assert final.result["loss"] == pytest.approx(last.result["loss"], rel=1e-5)
    added = {record.cost["logical"]["added_params"] for record in trials}
    assert (len(added) > 1) == (name == "lora")


@BOTH
@pytest.mark.parametrize("fleet", [1, "auto"])
def test_a_search_that_was_interrupted_is_the_unbroken_one(tmp_path, name, fleet):
    context = toys.context(tmp_path, engine=Engine(fleet=fleet))
    spec = varied(name, HALVED)
    trials, final = toys.everything(context, spec)
    search, last = toys.search_and_final(spec)
    for lost in ((0,), (1, 3), (2, 4), (0, 1, 2, 3, 4)):
        for number in lost:
            context.store.path(search.record_keys[number]).unlink()
        context.store.path(last.key).unlink()
        again, anew = toys.everything(context, spec)
        assert list(map(toys.metrics, again)) == list(map(toys.metrics, trials)), lost
        assert toys.metrics(anew) == toys.metrics(final), lost
        assert {record.cost["engine"]["replicas"] for record in again} == {1}


@BOTH
def test_unchosen_points_have_their_own_options(tmp_path, name):
    context, option = toys.context(tmp_path), SPANS[name][0]
    spec = varied(name)
    trials, final = toys.everything(context, spec)
    job = Job("unchosen", spec, (Job("search", spec).key,))
    assert perform(job, context)
    for key in job.record_keys:
        record = context.store.read(key)
        assert record.status == "ok"
        assert record.spec["number"] != final.result["trial"]
        point = trials[record.spec["number"]].spec["hyper"]
        assert record.spec["hyper"] == point
        assert record.result["options"] == point["options"]
        _, alone = toys.everything(context, plain(name, point["options"][option], point["lr"]))
        assert record.result["score"] == alone.result["score"]
        assert record.cost["logical"]["added_params"] == alone.cost["logical"]["added_params"]


def test_a_value_that_does_not_fit_is_a_trial_that_failed(tmp_path, monkeypatch):
    """The others go on, and one of them is chosen."""
    context, spec = toys.context(tmp_path), varied("lora")
    from bench.engine.search import race

    real = race.start

    def start(one, where):
        if one.recipe.adapt.rank == 4:
            raise RuntimeError("made to fail")
        return real(one, where)

    monkeypatch.setattr(race, "start", start)
    trials, final = toys.everything(context, spec)
    failed = {r.spec["number"] for r in trials if r.status == "failed"}
    assert failed == {r.spec["number"] for r in trials if r.spec["hyper"]["options"]["rank"] == 4}
    assert 0 < len(failed) < len(trials)
    assert final.status == "ok"
    assert final.result["options"]["rank"] != 4


def test_options_and_weight_decay_are_spread_apart_in_the_same_trials(tmp_path):
    search = dataclasses.replace(BRACKET, trials=12, weight_decay_low=1e-6, weight_decay_high=1e-2)
    spec = varied("l2_sp", search)
    points = [point for cohort in cohorts(search)[:1] for point in ask_cohort(spec, [], cohort)]
    assert len({point.weight_decay for point in points}) == len({point.options for point in points}) == 3
    for point in points:
        ((option, value),) = point.options
        assert option == "alpha"
        assert 0.001 <= value <= 1
        assert at_point(spec, point).recipe.penalty.alpha == value
    plainly = toys.fit_spec(search=search)
    assert at_point(plainly, points[0]) is plainly


def test_the_chosen_options_are_read_back(tmp_path):
    context, spec = toys.context(tmp_path), varied("lora")
    _, final = toys.everything(context, spec)
    chosen = choose(read_history(Job("search", spec).key, spec, context.store))
    assert dict(chosen.hyper.options) == final.result["options"]
