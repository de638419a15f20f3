"""A training that ends no better than a guess on its own images has a name, and only its training data say so."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from bench.analysis.search import choice
from bench.engine.common.context import OnDevice
from bench.engine.common.history import Tried
from bench.engine.common.start import final_stream, labelled_images
from bench.engine.jobs.perform import perform
from bench.engine.search.points import ask_cohort, choose
from bench.engine.train import loop
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Stream, first_drawn
from bench.engine.train.optimize import Hyper
from bench.engine.train.solo import Solo
from bench.keys import digest
from bench.spec.refs import Engine
from tests.conftest import CLASSES
from tests.engine import toys
from tests.engine.test_fleet import forced, several

pytestmark = [pytest.mark.usefixtures("tiny")]

GUESS = math.log(CLASSES)
HARMLESS = dataclasses.replace(toys.SEARCH, trials=1, lr_low=1e-9, lr_high=1.0000001e-9)
TOO_HIGH = 30.0  # a rate that breaks the toy network and leaves its loss finite


def spoil(context, search):
    """The search's trials are told to have been at a rate far too high, with the scores they had."""
    for key in search.record_keys:
        record = context.store.read(key)
        context.store.path(key).unlink()
        hyper = {**record.spec["hyper"], "lr": TOO_HIGH}
        result = {**record.result, "lr": TOO_HIGH}
        context.store.write(dataclasses.replace(record, result=result, spec={**record.spec, "hyper": hyper}))


def with_scaled_head(monkeypatch, factor):
    """Every network begins with a head so many times as large."""
    real = loop.Session.advance

    def advance(session, *arguments):
        if session.step == 0:
            head = session.team.network.parameters[-1]
            with torch.no_grad():
                for parameter in head.values():
                    parameter.mul_(factor)
        return real(session, *arguments)

    monkeypatch.setattr("bench.engine.train.solo.Solo.resume", lambda team: None)
    monkeypatch.setattr(loop.Session, "advance", advance)


def plain_loss(spec, context, module, images=None):
    """Cross-entropy in evaluation, every image alike, written out."""
    images = images if images is not None else labelled_images(spec, context.data(spec.data))
    pixels = (images.values[0].double() / 255 - 0.5) / 0.5
    module.eval()
    with torch.no_grad():
        log_probabilities = module(pixels).log_softmax(1)
    return -float(log_probabilities[torch.arange(len(images)), images.labels].mean())


@pytest.mark.parametrize("metric", ["accuracy", "mean_per_class"])
def test_the_loss_is_that_of_the_last_weights_on_the_training_images(tmp_path, monkeypatch, double, metric):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(data=dataclasses.replace(toys.DATA, metric=metric),
                         search=dataclasses.replace(toys.SEARCH, trials=1))  # fmt: skip
    expected, real = [], loop.Session.look_at_own

    def look(session, *most):
        expected.append(plain_loss(spec, context, session.team.network.module))
        real(session, *most)

    monkeypatch.setattr(loop.Session, "look_at_own", look)
    _, final = toys.everything(context, spec)
    assert len(expected) == 2  # the one trial, on fewer images, and the final
    assert final.result["train_loss_end"] == pytest.approx(expected[1], rel=1e-9)
    assert final.result["collapsed"] == (expected[1] >= GUESS)


def test_a_rate_far_too_high_collapses_and_one_that_fits_does_not(tmp_path):
    context = toys.context(tmp_path / "wild")
    search, job = toys.search_and_final(toys.fit_spec())
    assert perform(search, context)
    spoil(context, search)
    assert perform(job, context)
    final = context.store.read(job.key)
    assert final.status == "ok"
    assert final.result["collapsed"] is True
    assert final.result["train_loss_end"] is None or final.result["train_loss_end"] >= GUESS
    assert 0 <= final.result["score"] <= 1  # it keeps its score
    training = dataclasses.replace(toys.TRAINING, steps=60)
    _, calm = toys.everything(toys.context(tmp_path / "calm"), toys.fit_spec(training=training))
    assert calm.result["collapsed"] is False
    assert calm.result["train_loss_end"] < GUESS


@pytest.mark.parametrize(("fleet", "folds"), [(1, 0), (1, 2), ("auto", 2)])
def test_a_trial_is_judged_by_the_images_of_each_fold(tmp_path, monkeypatch, double, fleet, folds):
    """A rate that fits and one that breaks the network: who has collapsed on any fold is said to have."""
    forced(monkeypatch, "vmap", 100)
    search = dataclasses.replace(
        toys.SEARCH, trials=2, sampler="grid", lr_low=0.02, lr_high=TOO_HIGH, folds=folds, pruner="none"
    )
    training = dataclasses.replace(toys.TRAINING, steps=20)
    context, spec = toys.context(tmp_path, engine=Engine(fleet=fleet)), toys.fit_spec(search=search, training=training)
    losses, real = [], loop.Session.look_at_own

    def look(session, *most):
        if isinstance(session.team, Solo):
            losses.append(plain_loss(spec, context, session.team.network.module, session.streams[0].images))
        real(session, *most)

    monkeypatch.setattr(loop.Session, "look_at_own", look)
    trials, final = toys.everything(context, spec)
    assert [trial.result["collapsed"] for trial in trials] == [False, True]
    assert {trial.cost["engine"]["replicas"] > 1 for trial in trials} == {fleet == "auto"}
    assert final.result["trial"] == 0
    if fleet == 1:
        each = max(1, folds)
        calm, wild = losses[:each], losses[each : 2 * each]
        assert max(calm) < GUESS <= max(wild)


def test_what_has_collapsed_is_chosen_only_where_all_have():
    """With however good a score: on few images a broken network may look well."""
    rates = (0.1, 0.01, 0.001)
    history = [Tried(n, Hyper(lr, 0.0), 0.9 - 0.1 * n, 1.0, collapsed=n < 2) for n, lr in enumerate(rates)]
    assert choose(history).number == 2
    assert choose(history[:2]).number == 0
    search = dataclasses.replace(toys.SEARCH, sampler="bracket", trials=4)
    (after,) = ask_cohort(toys.fit_spec(search=search), history, range(3, 4))
    assert after.lr == pytest.approx(1e-3 / search.step)  # past the end where the only sound one lies
    broken = [dataclasses.replace(one, collapsed=True) for one in history]
    (after,) = ask_cohort(toys.fit_spec(search=search), broken, range(3, 4))
    assert after.lr == pytest.approx(1e-3 / search.step)  # all too high, whichever looks best
    columns = {"status": "ok", "pruned": False, "loss": 1.0}
    rows = [{**columns, "number": n, "lr": one.hyper.lr, "score": one.score, "collapsed": float(one.collapsed)}
            for n, one in enumerate(history)]  # fmt: skip
    assert choice(rows) == rows[2]
    assert choice(rows[:2]) == rows[0]


def test_a_network_that_says_the_same_of_everything_has_collapsed(tmp_path, monkeypatch):
    """A head of zeros that never moves: ln K to the last digit but one, on either side of it."""
    with_scaled_head(monkeypatch, 0.0)
    _, final = toys.everything(toys.context(tmp_path), toys.fit_spec(search=HARMLESS))
    assert final.result["train_loss_end"] == pytest.approx(GUESS, rel=1e-6)
    assert final.result["collapsed"] is True


def test_the_test_split_has_no_say(tmp_path):
    """Its labels turned around: another score, the same verdict to the last digit."""
    found = []
    for number, shift in enumerate((0, 1)):
        context, spec = toys.context(tmp_path / str(number)), toys.fit_spec()
        test = toys.images("test")
        turned = dataclasses.replace(test, labels=(test.labels + shift) % CLASSES)
        context._loaded[digest(spec.data)] = OnDevice(toys.images("train"), turned, "ab" * 32)
        found.append(toys.everything(context, spec)[1].result)
    assert found[0]["score"] != found[1]["score"]
    assert found[0]["train_loss_end"] == found[1]["train_loss_end"]
    assert found[0]["collapsed"] == found[1]["collapsed"]


def test_a_loss_that_is_not_finite_stays_diverged(tmp_path, monkeypatch):
    context = toys.context(tmp_path)
    search, final = toys.search_and_final(toys.fit_spec())
    perform(search, context)
    real = Solo.step
    monkeypatch.setattr(Solo, "step", lambda *given: real(*given) * math.nan)
    perform(final, context)
    record = context.store.read(final.key)
    assert record.status == "diverged"
    assert not {"collapsed", "train_loss_end"} & set(record.result)


@pytest.mark.parametrize("strategy", ["ridge_probe", "prototypes"])
def test_what_is_solved_has_none(tmp_path, strategy):
    one = dataclasses.replace(toys.SEARCH, trials=1)
    _, final = toys.everything(toys.context(tmp_path), toys.fit_spec(recipe=toys.recipe(strategy, 6), search=one))
    assert final.status == "ok", final.error
    assert "collapsed" not in final.result


def test_averaged_weights_are_judged_as_they_count(tmp_path, monkeypatch, double):
    """Half way back to the start: the loss of the average, not that of the end."""
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context, recipe=toys.recipe("wise_ft", 6))
    losses, real = {}, loop.Session.look_at_own

    def look(session, *most):
        module = session.team.network.module
        losses["end"] = plain_loss(spec, context, module)
        with session.team.hold(0):
            losses["average"] = plain_loss(spec, context, module)
        real(session, *most)

    monkeypatch.setattr(loop.Session, "look_at_own", look)
    _, final = toys.everything(context, spec, job.key)
    assert final.status == "ok", final.error
    assert final.result["train_loss_end"] == pytest.approx(losses["average"], rel=1e-9)
    assert final.result["train_loss_end"] != pytest.approx(losses["end"], rel=1e-3)


def test_a_soup_is_judged_by_its_mean(tmp_path):
    context = toys.context(tmp_path)
    spec, job = toys.pretrained(context, recipe=toys.recipe("soup", 6))
    _, final = toys.everything(context, spec, job.key)
    assert final.result["train_loss_end"] == final.result["curve"][-1]["train_loss"]
    assert final.result["collapsed"] == (final.result["train_loss_end"] >= GUESS)


def test_each_replica_of_a_fleet_is_judged_by_its_own(tmp_path, monkeypatch, double):
    """One repeat's search offers a rate that breaks it, so one of three collapses, as it does alone."""
    forced(monkeypatch, "vmap", 100)
    spec = toys.fit_spec(training=dataclasses.replace(toys.TRAINING, batch_size=4))
    found = {}
    for name, engine in (("alone", Engine(fleet=1)), ("fleet", Engine())):
        context = toys.context(tmp_path / name, engine=engine)
        searches, finals = several(spec, 3)
        assert perform(searches, context)
        spoil(context, searches[1])
        assert perform(finals, context)
        found[name] = [context.store.read(job.key) for job in finals]
    assert found["fleet"][0].cost["engine"]["replicas"] == 3
    for mine, alone in zip(found["fleet"], found["alone"], strict=True):
        assert mine.result["collapsed"] == alone.result["collapsed"]
        if not alone.result["collapsed"]:  # what has collapsed is chaos
            assert mine.result["train_loss_end"] == pytest.approx(alone.result["train_loss_end"], rel=1e-4)
    assert [record.result["collapsed"] for record in found["fleet"]] == [False, True, False]


def test_of_very_many_images_the_first_ones_of_the_training_are_asked(monkeypatch):
    images = Examples((torch.zeros(10, 3, 8, 8, dtype=torch.uint8),), torch.arange(10) // 5)
    stream = Stream(images, 3)
    assert first_drawn(stream, 10) is images
    few = first_drawn(stream, 4)
    first_batch = np.random.default_rng(3).permutation(10)[:4]
    assert few.rows.tolist() == sorted(first_batch)
    assert few.labels.tolist() == [int(row) // 5 for row in few.rows]


def test_the_cap_holds_in_a_final(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "OWN_IMAGES", 5)
    asked, real = [], Solo.score

    def score(team, images):
        asked.append([len(one) for one in images])
        return real(team, images)

    monkeypatch.setattr(Solo, "score", score)
    context, spec = toys.context(tmp_path), toys.fit_spec()
    toys.everything(context, spec)
    assert len(final_stream(spec, context.data(spec.data)).images) == 24
    assert asked[-1] == [5]
