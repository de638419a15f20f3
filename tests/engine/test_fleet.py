"""Fleets come to what the same trainings come to one after another: searches, folds, repeats, halving, in any form."""

import dataclasses

import pytest
import torch

from bench.engine.fleet import calibrate
from bench.engine.fleet.calibrate import FleetChoice
from bench.engine.fleet.fleet import Fleet
from bench.engine.jobs.perform import perform
from bench.spec.job import Job
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.engine import toys
from tests.engine.test_staging import assert_alike

pytestmark = [pytest.mark.usefixtures("tiny")]

# At higher rates some trainings go astray, and rounding grows with every step.
HALVING = dataclasses.replace(
    toys.SEARCH, trials=6, pruner="halving", first_rung=2 / 9, folds=2, lr_low=1e-3, lr_high=0.03
)


def forced(monkeypatch, form, width):
    """Every search and every bundle of finals trains in this form."""

    def choose(spec, begin, stages, images, context):
        return FleetChoice() if context.engine.fleet == 1 else FleetChoice(width, form)

    monkeypatch.setattr("bench.engine.search.run.choose_form", choose)
    monkeypatch.setattr("bench.engine.jobs.finals.choose_form", choose)


def several(spec, repeats, *needs):
    specs = [dataclasses.replace(spec, repeat=repeat) for repeat in range(repeats)]
    pairs = [toys.search_and_final(one, *needs) for one in specs]
    return [search for search, _ in pairs], [final for _, final in pairs]


def records(folder, spec, needs, repeats=3, **fields):
    context = toys.context(folder, **fields)
    searches, finals = several(spec, repeats, *needs)
    assert perform(searches, context)
    assert perform(finals, context)
    return [context.store.read(key) for job in (*searches, *finals) for key in job.record_keys]


@pytest.mark.parametrize(("strategy", "form", "name", "optimizer"), [
    ("linear_probe", "head", "toy_conv", "adamw"), ("linear_probe", "head", "toy_vit", "sgd"),
    ("full_finetune", "vmap", "toy_conv", "sgd"), ("full_finetune", "vmap", "toy_conv", "adamw"),
    ("gradual_unfreeze", "vmap", "toy_conv", "adamw"), ("scratch", "vmap", "toy_conv", "sgd"),
])  # fmt: skip
def test_every_record_is_that_of_one_after_another(tmp_path, monkeypatch, double, strategy, form, name, optimizer):
    forced(monkeypatch, form, 100)
    shared = toys.context(tmp_path / "shared")
    job = toys.pretrain_job(backbone=BackboneRef(name, {}, "coarse", Weights("random")))
    assert perform(job, shared)
    num_units = toys.network(name).num_units
    spec = toys.fit_spec(
        recipe=toys.recipe(strategy, num_units), backbone=BackboneRef(name, {}, "coarse", Weights("pretrain", job.key)),
        search=HALVING, training=dataclasses.replace(toys.TRAINING, optimizer=optimizer, batch_size=4),
    )  # fmt: skip
    alone = records(tmp_path / "alone", spec, [job.key], 2, shared=shared.shared)
    fleet = records(tmp_path / "fleet", spec, [job.key], 2, shared=shared.shared, engine=Engine())
    assert_alike(fleet, alone)
    told = [record.cost["engine"] for record in fleet if record.status == "ok"]
    assert {one["forms"][-1] for one in told} == {form}
    assert max(one["replicas"] for one in told) > 1
    assert {record.cost["engine"]["replicas"] for record in alone if record.status == "ok"} == {1}


def test_halving_leaves_the_best_and_says_where_the_others_left(tmp_path):
    context = toys.context(tmp_path)
    trials, final = toys.everything(context, toys.fit_spec(search=HALVING))
    steps = [record.result["steps"] for record in trials]
    assert sorted(steps) == [3, 3, 3, 3, 12, 12]  # of 12: two ninths, two thirds; 6 -> 2 -> 2
    for record in trials:
        ran = record.result["steps"]
        assert [rung["step"] for rung in record.result["rungs"]] == [s for s in (3, 8, 12) if s <= ran]
        assert record.result["score"] == record.result["rungs"][-1]["score"]
        assert record.cost["logical"]["steps"] == 2 * record.result["steps"]  # two folds
    first = {record.spec["number"]: record.result["rungs"][0] for record in trials}
    best = sorted(first, key=lambda n: (-first[n]["score"], first[n]["loss"], trials[n].spec["hyper"]["lr"]))[:2]
    assert {n for n, record in enumerate(trials) if record.result["steps"] > 3} == set(best)
    last = [record for record in trials if record.result["steps"] == 12]
    standing = [(-r.result["score"], r.result["loss"], r.spec["hyper"]["lr"], r.spec["number"]) for r in last]
    assert final.result["trial"] == min(standing)[-1]


@pytest.mark.parametrize("fleet", [1, "auto"])
def test_a_halved_search_that_was_interrupted_is_the_unbroken_one(tmp_path, monkeypatch, fleet):
    forced(monkeypatch, "vmap", 100)
    context = toys.context(tmp_path, engine=Engine(fleet=fleet))
    spec = toys.fit_spec(search=HALVING)
    trials, _ = toys.everything(context, spec)
    search, _ = toys.search_and_final(spec)
    for lost in ((0,), (1, 4), (0, 1, 2, 3, 4, 5), (5,)):
        for number in lost:
            context.store.path(search.record_keys[number]).unlink()
        assert perform(search, context)
        again = [context.store.read(key) for key in search.record_keys]
        assert list(map(toys.metrics, again)) == list(map(toys.metrics, trials)), lost


def test_stopping_in_a_race_keeps_what_is_out_of_it(tmp_path):
    spec = toys.fit_spec(search=HALVING)
    whole, _ = toys.everything(toys.context(tmp_path / "whole"), spec)
    context = toys.context(tmp_path / "broken")
    search, _ = toys.search_and_final(spec)
    looks = []
    assert not perform(search, dataclasses.replace(context, stopping=lambda: looks.append(1) or len(looks) > 7))
    kept = [record for key in search.record_keys if (record := context.store.read(key)) is not None]
    assert len(kept) == 4  # those that left at the first rung
    again, _ = toys.everything(context, spec)
    assert list(map(toys.metrics, again)) == list(map(toys.metrics, whole))


def test_memory_that_does_not_suffice_makes_fleets_smaller_and_no_batch(tmp_path, monkeypatch):
    forced(monkeypatch, "vmap", 12)
    spec = toys.fit_spec(search=HALVING, training=dataclasses.replace(toys.TRAINING, batch_size=4))
    expected = records(tmp_path / "alone", spec, [], repeats=1)
    real, tried = Fleet.step, []

    def step(fleet, inputs, labels, rates):
        replicas = fleet.shape[0] * fleet.shape[1]
        tried.append((replicas, labels.shape[1]))
        if replicas > 6:
            raise torch.OutOfMemoryError("no room")
        return real(fleet, inputs, labels, rates)

    monkeypatch.setattr(Fleet, "step", step)
    said = []
    found = records(tmp_path / "fleet", spec, [], repeats=1, engine=Engine(), notice=said.append)
    assert [(r.status, r.result.get("steps")) for r in found] == [(r.status, r.result.get("steps")) for r in expected]
    assert max(replicas for replicas, _ in tried) == 12
    assert {replicas for replicas, _ in tried if replicas <= 6} >= {6}
    assert {batch for _, batch in tried} == {4}
    assert any("OutOfMemoryError in a fleet; now 6 at a time" in text for text in said)


def test_a_fault_in_a_fleet_is_one_trainings_in_the_end(tmp_path, monkeypatch):
    forced(monkeypatch, "vmap", 100)
    monkeypatch.setattr("bench.engine.fleet.fleet.Fleet.step", lambda *_: 1 / 0)
    trials, final = toys.everything(toys.context(tmp_path, engine=Engine()), toys.fit_spec(search=HALVING))
    assert {record.status for record in (*trials, final)} == {"ok"}


def test_a_replica_that_diverges_leaves_the_others_alone(tmp_path, monkeypatch):
    forced(monkeypatch, "vmap", 100)
    wild = dataclasses.replace(HALVING, lr_high=1e30, pruner="none", trials=3)
    spec = toys.fit_spec(search=wild, training=dataclasses.replace(toys.TRAINING, batch_size=4))
    alone = records(tmp_path / "alone", spec, [], repeats=1)
    fleet = records(tmp_path / "fleet", spec, [], repeats=1, engine=Engine())
    assert [record.status for record in fleet] == [record.status for record in alone]
    assert "diverged" in {record.status for record in fleet}
    calm, expected = fleet[0].result, alone[0].result
    assert calm["score"] == expected["score"]
    assert calm["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_forms_are_timed_in_turns_and_one_slow_step_decides_nothing(monkeypatch):
    clock, order = [0.0], []

    class Team:
        def __init__(self, name, seconds):
            self.name, self.left = name, list(seconds)

        def resume(self):
            clock[0] += 100  # no part of a step

        def enter(self, *_):
            clock[0] += 100

        def step(self, *_):
            order.append(self.name)
            clock[0] += self.left.pop(0)

    monkeypatch.setattr(calibrate.time, "perf_counter", lambda: clock[0])
    teams = [Team("alone", [50, 2, 2, 90, 2, 2]), Team("fleet", [0, 8, 70, 8, 8, 8])]
    assert calibrate._seconds(teams, toys.fit_spec(), lambda number: None, (torch.zeros(1, 4),)) == [2, 8]
    assert order == ["alone", "fleet"] * 6


def test_workers_that_share_a_card_try_forms_out_anew(tmp_path):
    one, two = (toys.context(tmp_path, sharing=number) for number in (1, 2))
    assert calibrate._name(toys.fit_spec(), one) != calibrate._name(toys.fit_spec(), two)


def test_what_fails_alone_leaves_no_choice_and_no_other_arithmetic_reads_it(tmp_path, monkeypatch):
    spec = toys.fit_spec(search=HALVING)

    def seconds(teams, *_):
        raise RuntimeError("out of something")

    monkeypatch.setattr(calibrate, "_seconds", seconds)
    said = []
    context = toys.context(tmp_path, engine=Engine(), notice=said.append)
    toys.everything(context, spec)
    assert said[0] == "no fleet: RuntimeError: out of something"
    assert not list(context.forms.glob("*.json"))
    strict = dataclasses.replace(spec, training=dataclasses.replace(spec.training, deterministic=True))
    assert calibrate._name(spec, context) != calibrate._name(strict, context)


def test_what_is_found_quickest_is_kept_for_the_next_time(tmp_path, monkeypatch):
    spec = toys.fit_spec(search=HALVING)
    timed = []

    def seconds(teams, *_):
        timed.append([team.shape for team in teams])
        if len(teams) > 1:
            teams[1].form = "vmap"
        return [0.5, 1.0]

    monkeypatch.setattr(calibrate, "_seconds", seconds)
    context = toys.context(tmp_path, engine=Engine())
    trials, _ = toys.everything(context, spec)
    assert timed[:2] == [[(1, 1)], [(1, 1), (1, 16)]]
    assert trials[0].cost["engine"]["replicas"] > 1  # 1/16 s for each against 0.5
    before = len(timed)
    other = toys.context(tmp_path, engine=Engine())
    toys.everything(other, dataclasses.replace(spec, seed=1))
    assert len(timed) == before
    (path,) = other.forms.glob("*.json")
    path.write_text(path.read_text().replace("16", "17"))
    told = []
    toys.everything(toys.context(tmp_path, engine=Engine(), notice=told.append), dataclasses.replace(spec, seed=2))
    assert len(timed) == 2 * before
    assert [line.startswith(f"{path}: damaged (") for line in told] == [True]
    assert isinstance(several(spec, 1)[0][0], Job)


def test_squads_that_lose_everybody_early_do_not_stop_the_others(tmp_path, monkeypatch):
    """Three squads of two; the wild half of the range diverges at once, and the race goes on in fleets."""
    forced(monkeypatch, "vmap", 4)
    wild = dataclasses.replace(HALVING, lr_low=1e-3, lr_high=1e30)
    said = []
    context = toys.context(tmp_path, engine=Engine(), notice=said.append)
    trials, final = toys.everything(context, toys.fit_spec(search=wild))
    assert [record.status for record in trials].count("diverged") >= 3
    assert final.status == "ok"
    assert said == []


def feature_seconds(records):
    return [record.cost["measured"]["feature_seconds"] for record in records]


def clocked(monkeypatch):
    """Choosing a form takes ten seconds on features, and nothing else takes any."""
    seconds = [0.0]

    def choose(*_):
        seconds[0] = 10.0
        return FleetChoice(4, "vmap")

    monkeypatch.setattr("bench.engine.search.run.choose_form", choose)
    clock = property(lambda _: seconds[0], lambda *_: None)
    monkeypatch.setattr("bench.engine.common.features.Features.seconds", clock, raising=False)


SPEC = toys.fit_spec(search=dataclasses.replace(HALVING, pruner="none"))  # six trials of two folds


def test_seconds_on_features_are_one_trials_and_survive_a_fleet_that_fails(tmp_path, monkeypatch):
    clocked(monkeypatch)
    real, steps = Fleet.step, []

    def step(fleet, *given):
        steps.append(fleet)
        if len({id(one) for one in steps}) == 2:
            raise RuntimeError("the second fleet fails")
        return real(fleet, *given)

    monkeypatch.setattr(Fleet, "step", step)
    search, _ = toys.search_and_final(SPEC)
    context = toys.context(tmp_path, engine=Engine())
    assert perform(search, context)
    assert feature_seconds(context.store.read(key) for key in search.record_keys) == [10.0, 0, 0, 0, 0, 0]


def test_a_fleet_that_is_resumed_trains_what_lacks_a_record_and_its_company(tmp_path, monkeypatch):
    forced(monkeypatch, "vmap", 4)
    search, _ = toys.search_and_final(SPEC)
    context = toys.context(tmp_path, engine=Engine())
    assert perform(search, context)
    whole = [context.store.read(key) for key in search.record_keys]
    context.store.path(search.record_keys[3]).unlink()
    clocked(monkeypatch)
    trained = []
    real = Fleet.step
    monkeypatch.setattr(Fleet, "step", lambda fleet, *given: trained.append(fleet.shape) or real(fleet, *given))
    again = toys.context(tmp_path, engine=Engine())
    assert perform(search, again)
    assert set(trained) == {(2, 2)}
    assert len(trained) == SPEC.training.steps  # one fleet of three
    found = [again.store.read(key) for key in search.record_keys]
    assert list(map(toys.metrics, found)) == list(map(toys.metrics, whole))
    assert feature_seconds(found)[3] == 10.0
