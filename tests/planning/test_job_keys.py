"""A job's key is all that determines its numbers: it reacts to each field, and to nothing else."""

import dataclasses
from typing import Annotated

import pytest
from pydantic import Field

from bench import backbones
from bench.catalogue import LATER, Options
from bench.spec.job import FitSpec, Job, PretrainSpec, trial_key, unchosen_key
from bench.spec.recipe import OwnHead, Phase, Recipe, Schedule, Solve, StopEarly, Via, uniform
from bench.spec.refs import BackboneRef, DataRef, LabelBudget, NewHead, Pipeline, Search, Training, Weights
from bench.spec.spans import Varied, choices, linear, log
from bench.strategies.auto_rgn import RelativeGradient
from bench.strategies.bss import SpectralShrinkage
from bench.strategies.required import RequiresBatchNorm
from tests.planning.conftest import SMALL

FIT = FitSpec(
    data=DataRef("tiny", {"shade": 0}, "tiny-0", 3),
    budget=LabelBudget("labels_per_class", 8.0),
    backbone=BackboneRef("toy_conv", {"width": 4}, "coarse", Weights("file", "ab")),
    recipe=Recipe(phases=(Phase(0.5, (0.0, 1.0)), Phase(0.5, (1.0, 1.0)))),
    pipeline=Pipeline(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    training=Training(12, 8, "sgd", 0.9, "cosine", 0.1, 0.0, False, 0, 0, 3, "fp32"),
    search=Search(3, "grid", "none", 1.0, 1e-2, 1e-1, 1e-4, 1e-5, 1e-3, 0, 0.25),
    head=NewHead(),
    repeat=0,
    seed=0,
    varied=Varied("l2_sp", {"beta": 0.1}, (("alpha", log(0.01, 1.0)),)),
)
PRETRAIN = PretrainSpec(FIT.data, FIT.backbone, FIT.pipeline, 2, 16, "sgd", 0.1, 5e-4, 1, 0)
NEED = "c" * 32


def changes_of(value):
    """Every value that differs from this one in a single field, however deep, with the field's name."""
    for field in dataclasses.fields(value):
        for name, other in _others(getattr(value, field.name)):
            yield f"{field.name}{name}", dataclasses.replace(value, **{field.name: other})


def _others(old):
    if isinstance(old, Recipe):
        yield ".phases[0].share", dataclasses.replace(old, phases=(Phase(0.25, (0.0, 1.0)), Phase(0.75, (1.0, 1.0))))
        yield ".phases[0].rates", dataclasses.replace(old, phases=(Phase(0.5, (0.5, 1.0)), old.phases[1]))
        yield ".phases", dataclasses.replace(old, phases=uniform([1.0, 1.0]))
        for name, value in (("init", "random"), ("reinit", 1), ("anneal", "each_phase"), ("rate_scale", 2.0),
                            ("rate_scale_adamw", 2.0)):  # fmt: skip
            yield f".{name}", dataclasses.replace(old, **{name: value})
        yield ".solve", dataclasses.replace(old, phases=uniform([0.0, 1.0]), solve=Solve("ridge", 1e-5, 1e2))
        for name, value in (
            ("tensors", "biases"), ("statistics", "kept"), ("schedule", Schedule(0.1, 0.2, 0.0)), ("length", 2.0),
            ("decays", False), ("adapt", RequiresBatchNorm()), ("penalty", SpectralShrinkage(eta=0.1, k=1)),
            ("tensor_rates", RelativeGradient()), ("average", 0.5),
            ("stop_early", StopEarly(5, "loss")), ("soup", "greedy"), ("labels", "source"),
            ("via", (Via("mid", {}, 1, 8, "sgd", 0.1, 0.0, 0),)),
            ("own_head", OwnHead("same", "target")),
        ):  # fmt: skip
            yield f".{name}", dataclasses.replace(old, **{name: value})
    elif isinstance(old, Varied):
        yield ".strategy", dataclasses.replace(old, strategy="delta")
        yield ".options", dataclasses.replace(old, options={"beta": 0.2})
        for span in (log(0.01, 2.0), linear(0.01, 1.0), choices(0.01, 1.0)):
            yield f".spans: {span.scale} {span.text}", dataclasses.replace(old, spans=(("alpha", span),))
        yield ".spans", dataclasses.replace(old, spans=(("gamma", old.spans[0][1]),))
    elif dataclasses.is_dataclass(old):
        for name, changed in changes_of(old):
            yield f".{name}", changed
    else:
        yield "", _other(old)


def _other(old):
    if isinstance(old, bool):
        return not old
    if old is None:
        return 1
    if isinstance(old, int | float):
        return old + 1
    if isinstance(old, str):
        return old + "x"
    return {**old, "more": 1} if isinstance(old, dict) else (*old[:-1], old[-1] + 1)


FIT_CHANGES = dict(changes_of(FIT))
PRETRAIN_CHANGES = dict(changes_of(PRETRAIN))


def test_no_field_is_passed_over():
    """Not even one that is added later: the changes are made from the fields themselves."""
    assert {name.partition(".")[0] for name in FIT_CHANGES} == {f.name for f in dataclasses.fields(FitSpec)}
    assert {name.partition(".")[0] for name in PRETRAIN_CHANGES} == {f.name for f in dataclasses.fields(PretrainSpec)}
    assert {f".{f.name}" for f in dataclasses.fields(Recipe)} <= {
        name.removeprefix("recipe") for name in FIT_CHANGES if name.startswith("recipe.")
    }


@pytest.mark.parametrize("name", FIT_CHANGES)
def test_each_field_of_a_fit_moves_its_keys(name):
    for kind in ("search", "final"):
        assert Job(kind, FIT_CHANGES[name], (NEED,)).key != Job(kind, FIT, (NEED,)).key


def test_no_two_changes_collide():
    assert len({Job("final", spec).key for spec in (FIT, *FIT_CHANGES.values())}) == len(FIT_CHANGES) + 1


@pytest.mark.parametrize("name", PRETRAIN_CHANGES)
def test_each_field_of_a_pretraining_moves_its_key(name):
    assert Job("pretrain", PRETRAIN_CHANGES[name]).key != Job("pretrain", PRETRAIN).key


def test_kind_and_needs_are_in_the_key():
    keys = {
        Job("search", FIT).key, Job("final", FIT).key, Job("final", FIT, (NEED,)).key,
        Job("final", FIT, ("d" * 32,)).key,
        trial_key(Job("search", FIT).key, 0), trial_key(Job("search", FIT).key, 1), trial_key(NEED, 0),
    }
    assert len(keys) == 7


def test_a_search_has_a_record_per_trial_and_everything_else_one():
    search = Job("search", FIT)
    assert search.record_keys == tuple(trial_key(search.key, number) for number in range(3))
    final = Job("final", FIT, (search.key,))
    assert final.record_keys == (final.key,)
    assert Job("pretrain", PRETRAIN).record_keys == (Job("pretrain", PRETRAIN).key,)
    others = Job("unchosen", FIT, (search.key,))
    assert others.record_keys == (unchosen_key(others.key, 0), unchosen_key(others.key, 1))
    assert not {*others.record_keys} & {*search.record_keys, final.key}


def test_golden():
    """Should these change, every record on every disk has lost its name. A new field does that, and so does a bumped
    keys.PROTOCOL: be sure to mean it, then write the new keys here."""
    assert Job("final", FIT, (NEED,)).key == "ed6c6fe3ef6fa4a1cfc4e2a50a3d9e2a"
    assert Job("pretrain", PRETRAIN).key == "3f9dfb8ebe797cf49e67774e59c81851"


def keys(plan):
    return set(plan.jobs)


@pytest.mark.parametrize(("old", "new"), [
    ("name: small", "name: other\ndescription: about nothing"),
    ("  - {name: tiny,", "  - {name: tiny, label: little,"),
    ("  - {name: toy_conv,", "  - {name: toy_conv, label: mine,"),
    ("[scratch, linear_probe, full_finetune]", "[full_finetune, scratch, linear_probe]"),
    ("[4, 10]", "[10, 4]"),
    ("epochs: 1}", "epochs: 1.0}"),
])
def test_what_does_not_determine_a_number_is_in_no_key(plan, old, new):
    assert old in SMALL
    assert keys(plan(SMALL.replace(old, new))) == keys(plan())


@pytest.mark.parametrize(("old", "new"), [
    ("repeats: 2", "repeats: 3"),
    ("[4, 10]", "[4, 10, 20]"),
    ("full_finetune]", "full_finetune, {freeze: {upto: all}}, gradual_unfreeze]"),
    ("datasets:\n", "datasets:\n  - {name: digits, labels_per_class: [5]}\n"),
    ("backbones:\n", "backbones:\n  - resnet18.a1_in1k\n"),
])
def test_adding_to_a_suite_leaves_all_old_keys(plan, old, new):
    """So only what is new runs."""
    assert keys(plan(SMALL.replace(old, new))) > keys(plan())


@pytest.mark.parametrize(("old", "new"), [
    ("steps: 20", "steps: 21"), ("trials: 3", "trials: 4"), ("repeats: 2", "repeats: 2\nseed: 1"),
    ("batch_size: 8}", "batch_size: 8, augment: {flip: true}}"),
    ("batch_size: 8}", "batch_size: 8, augment: {crop: 0.5}}"),
])
def test_changing_how_everything_trains_keeps_the_pretraining_only(plan, old, new):
    before, after = plan(), plan(SMALL.replace(old, new))
    assert keys(before) & keys(after) == {key for key, job in before.jobs.items() if job.kind == "pretrain"}


def test_where_a_checkpoint_lies_is_in_no_key(plan, folder):
    text = SMALL.replace("{name: toy_conv, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}}",
                         "{name: toy_conv, weights: W}")
    found = []
    for place, content in (("a.pth", b"1"), ("suites/b.pth", b"1"), ("c.pth", b"2")):
        (folder / place).write_bytes(content)
        found.append(keys(plan(text.replace("W", place.removeprefix("suites/")))))
    assert found[0] == found[1] != found[2]


class Later(Options):
    width: int = 4
    depth: Annotated[int | None, Field(json_schema_extra=LATER)] = None


class Before(Options):
    width: int = 4


def test_an_option_that_a_backbone_has_only_lately_moves_keys_where_it_is_set(plan, monkeypatch):
    def keys(options, written=""):
        entry = dataclasses.replace(backbones.BACKBONES["toy_conv"], options=options)
        monkeypatch.setitem(backbones.BACKBONES, "toy_conv", entry)
        return plan(SMALL.replace("{name: toy_conv", f"{{name: toy_conv{written}")).jobs.keys()

    before = keys(Before)
    assert keys(Later) == before
    assert not keys(Later, ", options: {depth: 2}") & before
