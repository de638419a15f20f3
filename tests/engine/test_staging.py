"""What is computed once comes to the same as the plain loop: every strategy, in double precision, record by record."""

import dataclasses

import pytest

from bench.engine.jobs.perform import perform
from bench.engine.reuse.stages import _Maker
from bench.modalities.pixels import Augment
from bench.planning.patterns import frozen_patterns
from bench.spec.recipe import Phase, Recipe, uniform
from bench.spec.refs import BackboneRef, Engine, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]

PLAIN, CUT = Engine(partition=False, fleet=1), Engine(partition=True, fleet=1)
HEAD_FIRST = Recipe((Phase(0.5, (0, 0, 0, 0, 0, 1.0)), Phase(0.5, (0, 0, 0, 0.1, 0.1, 1.0))))
THERE_AND_BACK = Recipe((Phase(0.5, (0, 0, 0, 1.0, 0, 1.0)), Phase(0.5, (0, 0, 0, 0, 0, 1.0))))
RECIPES = {
    "probe": toys.recipe("linear_probe", 6),
    "freeze 1": toys.recipe("freeze", 6, upto=1),
    "freeze 3": toys.recipe("freeze", 6, upto=3),
    "gradual": toys.recipe("gradual_unfreeze", 6),
    "head first": HEAD_FIRST,
    "there and back": THERE_AND_BACK,
    "reinit": Recipe(uniform((0, 0, 0, 1.0, 1.0, 1.0)), reinit=4),
    "full": toys.recipe("full_finetune", 6),
    "scratch": toys.recipe("scratch", 6),
}


DEAR = ("freeze 1", "full", "scratch")  # a stem's values take longer to read than to compute


def numbers(record):
    """Every number of a result, flat, by its place."""
    found = {}

    def walk(value, place):
        if isinstance(value, dict):
            for name, one in value.items():
                walk(one, (*place, name))
        elif isinstance(value, list | tuple):
            for number, one in enumerate(value):
                walk(one, (*place, number))
        else:
            found[place] = value

    walk(record.result, ())
    return found


def assert_alike(ones, others, tolerance=1e-8):
    for one, other in zip(ones, others, strict=True):
        assert (one.status, one.key) == (other.status, other.key)
        assert one.status != "failed", one.error  # two failures are alike too
        left, right = numbers(one), numbers(other)
        assert left.keys() == right.keys()
        for place, value in left.items():
            expected = right[place]
            near = pytest.approx(expected, rel=tolerance, abs=1e-10) if isinstance(value, float) else expected
            assert value == near, place
        assert one.cost.get("logical") == other.cost.get("logical")


def run(folder, engine, spec, needs=(), **fields):
    context = toys.context(folder, engine=engine, **fields)
    trials, final = toys.everything(context, spec, *needs)
    return context, [*trials, final]


def both_ways(tmp_path, recipe, name="toy_conv", **fields):
    search = dataclasses.replace(toys.SEARCH, folds=2)
    context = toys.context(tmp_path / "shared")
    job = toys.pretrain_job(backbone=BackboneRef(name, {}, "coarse", Weights("random")))
    assert perform(job, context)
    backbone = BackboneRef(name, {}, "coarse", Weights("pretrain", job.key))
    spec = toys.fit_spec(recipe=recipe, backbone=backbone, search=search, **fields)
    patterns = frozen_patterns(toys.search_and_final(spec, job.key))
    plain = run(tmp_path / "plain", PLAIN, spec, [job.key], shared=context.shared)
    cut = run(tmp_path / "cut", CUT, spec, [job.key], shared=context.shared, patterns=patterns)
    return plain, cut


@pytest.mark.parametrize("name", RECIPES)
def test_every_record_is_that_of_the_plain_loop(tmp_path, double, name):
    (plain, expected), (cut, found) = both_ways(tmp_path, RECIPES[name])
    assert {record.status for record in expected} == {"ok"}, expected[0].error
    assert_alike(found, expected)
    assert plain.features.computed == 0
    assert cut.features.computed == (2 if name not in DEAR else 0)  # the labels, the test split


@pytest.mark.parametrize(("name", "augment"), [
    ("freeze 3", {"flip": True}), ("probe", {"flip": True, "shift": 1, "views": 3}), ("freeze 3", {"shift": 2}),
    ("probe", {"shift": 2}), ("freeze 3", {"crop": 0.3, "flip": True, "views": 3}), ("probe", {"crop": 0.3}),
])  # fmt: skip
def test_changed_images_too(tmp_path, double, name, augment):
    """Flips are two views, `views` so many; shifts and crops without end go through the frozen part in each step."""
    training = dataclasses.replace(toys.TRAINING, **augment)
    (_, expected), (cut, found) = both_ways(tmp_path, RECIPES[name], training=training)
    assert_alike(found, expected)
    # The labels as they are and changed, and the test split.
    assert cut.features.computed == (2 if augment in ({"shift": 2}, {"crop": 0.3}) else 3)


@pytest.mark.parametrize("name", ["probe", "freeze 1", "gradual"])
def test_a_network_with_dropout_and_class_token(tmp_path, double, name):
    recipe = {"probe": toys.recipe("linear_probe", 5), "freeze 1": toys.recipe("freeze", 5, upto=1),
              "gradual": toys.recipe("gradual_unfreeze", 5)}[name]  # fmt: skip
    (_, expected), (cut, found) = both_ways(tmp_path, recipe, "toy_vit")
    assert_alike(found, expected)
    assert found[-1].cost["engine"]["frozen"][0] in ("kept", "recomputed")


def test_in_single_precision_the_paths_stay_together(tmp_path):
    (_, expected), (_, found) = both_ways(tmp_path, RECIPES["freeze 3"])
    assert_alike(found, expected, tolerance=1e-3)


def test_a_value_that_is_cheap_to_compute_is_not_kept(tmp_path, double, monkeypatch):
    monkeypatch.setattr("bench.engine.reuse.stages.WORTH", 1e9)
    (_, expected), (cut, found) = both_ways(tmp_path, RECIPES["freeze 3"])
    assert_alike(found, expected)
    assert cut.features.computed == 0


def test_one_pass_serves_every_cell_of_the_plan(tmp_path):
    """The probe's tables are there after the sweep's first depth, and so are those of the next depth."""
    context = toys.context(tmp_path)
    job = toys.pretrain_job()
    assert perform(job, context)
    backbone = BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key))
    specs = [toys.fit_spec(recipe=RECIPES[name], backbone=backbone) for name in ("freeze 3", "probe", "gradual")]
    jobs = [one for spec in specs for one in toys.search_and_final(spec, job.key)]
    context = dataclasses.replace(context, patterns=frozen_patterns(jobs))
    for one in jobs[:2]:
        assert perform(one, context)
    done = context.features.computed
    assert done == 2
    for one in jobs[2:]:
        assert perform(one, context)
    assert context.features.computed == done
    later = toys.context(tmp_path, patterns=context.patterns)  # another worker, or another day
    for one in toys.search_and_final(toys.fit_spec(recipe=RECIPES["probe"], backbone=backbone, seed=1), job.key):
        assert perform(one, later)
    assert later.features.computed == 1  # other labels; the test split is the same


def test_a_network_that_cannot_be_cut_runs_whole_and_says_so(tmp_path, monkeypatch):
    from bench.engine.reuse.cut import Whole

    monkeypatch.setattr("bench.engine.reuse.stages.cut", lambda *_: Whole("it refuses"))
    said = []
    spec = toys.fit_spec(recipe=RECIPES["probe"])
    context = toys.context(tmp_path, notice=said.append)
    _, final = toys.everything(context, spec)
    assert said == ["toy_conv runs whole: it refuses"] * len(said)
    assert said
    assert final.status == "ok"
    assert final.cost["engine"]["whole"] == "it refuses"
    assert context.features.computed == 0


def test_the_network_that_jobs_share_brings_nothing_along(tmp_path):
    """The same architecture fine-tuned before, with other weights, or drawn anew in each repeat: always its own."""
    jobs = []
    shared = toys.context(tmp_path / "shared")
    for seed in (0, 1):
        job = toys.pretrain_job(seed=seed)
        assert perform(job, shared)
        backbone = BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key))
        for name in ("full", "probe", "freeze 3"):
            spec = toys.fit_spec(recipe=RECIPES[name], backbone=backbone)
            jobs += [(one, spec, job.key) for one in toys.search_and_final(spec, job.key)]
    drawn = BackboneRef("toy_conv", {}, "coarse", Weights("random"))
    for repeat in (0, 1):
        spec = toys.fit_spec(recipe=RECIPES["probe"], backbone=drawn, repeat=repeat)
        jobs += [(one, spec, None) for one in toys.search_and_final(spec)]
    found = []
    for name, engine in (("plain", PLAIN), ("one", Engine(partition=True, fleet="auto"))):
        context = toys.context(tmp_path / name, shared=shared.shared, engine=engine)
        for one, _, _ in jobs:
            assert perform(one, context)
        found.append([context.store.read(key) for one, _, _ in jobs for key in one.record_keys])
    assert len(context.features._open) > 4
    for one, other in zip(*found, strict=True):
        assert one.status == other.status == "ok"
        assert other.result["loss"] == pytest.approx(one.result["loss"], rel=5e-3)


def test_an_option_that_is_in_no_tensor_is_in_the_name_of_a_table(tmp_path):
    """Strides and epsilons move features and leave every weight as it is."""
    context = toys.context(tmp_path)
    names = set()
    for options in ({}, {"width": 4}):
        backbone = BackboneRef("toy_conv", options, "coarse", Weights("random"))
        spec = toys.fit_spec(recipe=RECIPES["probe"], backbone=backbone)
        base = context.data(spec.data).train
        known = type("Known", (), {"sha256": "same", "cut": type("Cut", (), {"names": ("d",)})})
        names.add(_Maker(spec, None, 0, context)._keys(known, base, Augment())[0])
    assert len(names) == 2
