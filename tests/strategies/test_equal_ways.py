"""Every strategy of the catalogue comes to the same records however the work is done: plainly, or with frozen parts
computed once and three replicas in one loop; with trials that pause at every rung and go on. On the convolutional
network, and on the ViT those that look at a network: at its layers, at its kinds of tensors, at its features."""

from dataclasses import replace

import pytest
import torch

from bench.engine.fleet.calibrate import FleetChoice
from bench.engine.jobs.perform import perform
from bench.execute.bundles import bundles
from bench.planning.patterns import frozen_patterns
from bench.planning.settings import undrawn
from bench.spec.refs import BackboneRef, Engine, Weights
from bench.strategies import STRATEGIES
from tests.engine import toys
from tests.engine.test_fleet import several
from tests.engine.test_staging import assert_alike
from tests.strategies.test_contract import OPTIONS

pytestmark = [pytest.mark.usefixtures("tiny")]

TRAINING = replace(toys.TRAINING, steps=6)
HALVING = replace(toys.SEARCH, pruner="halving", first_rung=1 / 3)
REPEATS = 2


def looks_at_a_network(name):
    recipe = toys.recipe(name, 5, **OPTIONS.get(name, {}))
    return recipe.adapt is not None or recipe.solve is not None or recipe.tensors != "all"


PAIRS = [*((name, "toy_conv") for name in STRATEGIES),
         *((name, "toy_vit") for name in STRATEGIES if looks_at_a_network(name))]  # fmt: skip


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Context and job of a pretraining, by toy; made when first asked for."""
    made = {}

    def ask(toy):
        if toy not in made:
            context = toys.context(tmp_path_factory.mktemp(toy))
            job = toys.pretrain_job(
                data=replace(toys.DATA, options={"shade": 1}, revision="tiny-1"),
                backbone=BackboneRef(toy, {}, "coarse", Weights("random")),
            )
            assert perform(job, context)
            made[toy] = context, job
        return made[toy]

    return ask


def jobs_of(spec, repeats, needs):
    """One search for all repeats, as with `scope: cell`; but a soup is made of the trials of its own repeat."""
    searches, finals = several(spec, repeats, *needs)
    if spec.recipe.soup is None:
        searches, finals = searches[:1], [replace(final, needs=(*needs, searches[0].key)) for final in finals]
    return searches, finals


def records(folder, spec, needs, repeats, **fields):
    """Put together as a GPU's worker gets them."""
    context = toys.context(folder, **fields)
    searches, finals = jobs_of(spec, repeats, needs)
    for group in [*bundles(searches, is_gpu=True), *bundles(finals, is_gpu=True)]:
        assert perform(group, context)
    found = [context.store.read(key) for job in (*searches, *finals) for key in job.record_keys]
    for record in found:  # how often L-BFGS looks depends on the last bit
        record.result.pop("evaluations", None), record.result.pop("gradient_norm", None)
    return found


@pytest.mark.parametrize(("name", "toy"), PAIRS)
def test_every_way_comes_to_the_same_records(tmp_path, monkeypatch, double, pretrained, name, toy):
    def choose(spec, begin, stages, images, context):
        """In a fleet wherever there can be one, not only where it is quicker here."""
        is_alone = context.engine.fleet == 1 or spec.recipe.trains_alone
        heads_only = not any(any(phase.rates[:-1]) for phase in spec.recipe.phases)
        return FleetChoice() if is_alone else FleetChoice(100, "head" if heads_only else "vmap")

    monkeypatch.setattr("bench.engine.search.run.choose_form", choose)
    monkeypatch.setattr("bench.engine.jobs.finals.choose_form", choose)
    shared, job = pretrained(toy)
    recipe = toys.recipe(name, toys.network(toy).num_units, **OPTIONS.get(name, {}))
    recipe = replace(recipe, via=None)  # planning makes a pretraining of it
    weights = Weights("random") if recipe.init == "random" else Weights("pretrain", job.key)
    is_fixed = recipe.solve is not None and recipe.solve.low == recipe.solve.high
    search = replace(HALVING, trials=1, pruner="none") if is_fixed else HALVING
    backbone = BackboneRef(toy, {}, "coarse", weights)
    spec = toys.fit_spec(recipe=recipe, backbone=backbone, search=search, training=TRAINING)
    if recipe.own_head is not None:
        spec = undrawn(spec)
    patterns = frozen_patterns([one for group in jobs_of(spec, REPEATS, [job.key]) for one in group])
    plain, ours = (
        records(tmp_path / way, spec, [job.key], REPEATS, shared=shared.shared, engine=engine, patterns=patterns)
        for way, engine in (("plain", Engine(partition=False, fleet=1)), ("ours", Engine()))
    )
    statuses = {record.status for record in plain}
    assert "failed" not in statuses, [record.error for record in plain]
    assert statuses == ({"ok"} if statuses != {"not_applicable"} else {"not_applicable"})
    if statuses == {"not_applicable"}:
        assert STRATEGIES[name].needs
        assert {record.error for record in ours} == {record.error for record in plain}
        assert all(record.error for record in plain)
        return
    is_iterated = recipe.solve is not None and recipe.solve.form == "logistic"  # ends near the least loss, not on it
    assert_alike(ours, plain, tolerance=1e-3 if is_iterated else 1e-7)
    logical = plain[-1].cost["logical"]
    if recipe.adapt is not None and recipe.tensors == "added":
        assert 0 < logical["added_params"] < logical["trainable_params"] < logical["total_params"]
    if toy == "toy_conv" and recipe.trains and not recipe.trains_alone:  # dropout as in the ViT has no fleet
        assert max(record.cost["engine"]["replicas"] for record in ours) >= 3


def test_coded_parts_tell_their_work(tmp_path, pretrained):
    """A second network that only looks on costs forward passes, and records count them."""
    shared, job = pretrained("toy_conv")
    flops = {}
    for name in ("full_finetune", "lwf", "replay", "rotation"):
        spec = toys.fit_spec(recipe=toys.recipe(name, 6), training=TRAINING,
                             backbone=BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key)))  # fmt: skip
        (*_, final) = records(tmp_path / name, spec, [job.key], 1, shared=shared.shared)
        flops[name] = final.cost["logical"]["flops"]
    assert 1.2 < flops["lwf"] / flops["full_finetune"] < 1.45  # forward and backward are about three passes
    assert 1.25 < flops["rotation"] / flops["full_finetune"] < 1.4  # twice as much in three tenths of the steps
    assert 1.8 < flops["replay"] / flops["full_finetune"] < 2.2


def test_weights_without_a_source_head_are_told_apart(tmp_path):
    backbone = BackboneRef("toy_conv", {}, "coarse", Weights("random"))
    (*_, final) = records(tmp_path, toys.fit_spec(recipe=toys.recipe("lwf", 6), backbone=backbone), [], 1)
    assert final.status == "not_applicable"
    assert "its weights are random" in final.error
    assert torch.get_default_dtype() == torch.float32
