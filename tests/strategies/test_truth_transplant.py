"""The treatments of the layer-transfer study, tensor by tensor: which are the source's, which are fresh, which move."""

import dataclasses

import pytest
import torch

from bench import strategies
from bench.engine.common.start import start
from bench.engine.jobs.perform import perform
from bench.engine.train.loop import train
from bench.keys import seed_for
from bench.network.build import build_network
from bench.spec.recipe import Recipe, uniform
from bench.spec.refs import BackboneRef, Weights
from bench.store import blobs
from bench.strategies.entry import Axis
from tests.conftest import CLASSES, CONV_UNITS, VIT_UNITS
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]

REPEAT = 2
DEPTHS = [("toy_conv", keep) for keep in range(1, len(CONV_UNITS))]
DEPTHS += [("toy_vit", keep) for keep in range(1, len(VIT_UNITS))]


@pytest.fixture
def context(tmp_path):
    return toys.context(tmp_path)


def taught(context, name):
    """Weights of the source, as they lie in the store, and how a backbone refers to them."""
    from safetensors.torch import load

    plain = BackboneRef(name, {}, "coarse", Weights("random"))
    data = dataclasses.replace(toys.DATA, options={"shade": 1}, revision="tiny-1")
    job = toys.pretrain_job(data=data, backbone=plain)
    assert perform(job, context)
    sha256 = context.shared.read(job.key).pretraining.weights_sha256
    return load(blobs.get(context.shared.root, sha256)), BackboneRef(name, {}, "coarse", Weights("pretrain", job.key))


def tensors_of(network, state):
    """The state dict's entries, by unit."""
    names = [{*parameters, *buffers} for parameters, buffers in zip(network.parameters, network.buffers, strict=True)]
    return [{name: state[name] for name in sorted(own)} for own in names]


def begun(context, name, **options):
    """A network as its training begins: the recipe, the start, the source's state and that of the drawn one."""
    source, backbone = taught(context, name)
    plain = toys.network(name)
    recipe = toys.recipe("transplant", plain.num_units, **options)
    spec = toys.fit_spec(backbone=backbone, recipe=recipe, repeat=REPEAT)
    if recipe.init == "random":
        spec = dataclasses.replace(spec, backbone=dataclasses.replace(backbone, weights=Weights("random")))
    fresh = build_network(spec.backbone, CLASSES, seed_for("init", spec.seed, REPEAT), spec.head)
    return recipe, start(spec, context), source, fresh.module.state_dict()


def trained(recipe, begin):
    """A copy of each tensor after a training from this start."""
    begin.network.module.load_state_dict(begin.state)
    train(begin.network, toys.assignment(recipe))
    return {name: tensor.clone() for name, tensor in begin.network.module.state_dict().items()}


def differ(one, other):
    return {name for name in one if not torch.equal(one[name], other[name])}


@pytest.mark.parametrize("tune", [False, True], ids=["frozen", "tuned"])
@pytest.mark.parametrize(("name", "keep"), DEPTHS)
def test_truth_transplant_kept_units_are_the_sources_and_all_above_are_fresh(context, name, keep, tune):
    recipe, begin, source, drawn = begun(context, name, keep=keep, tune=tune)
    after = trained(recipe, begin)
    parts = zip(*(tensors_of(begin.network, state) for state in (begin.state, source, drawn, after)), strict=True)
    for unit, (here, theirs, fresh, moved) in enumerate(parts):
        assert differ(here, theirs if unit < keep else fresh) == set(), begin.network.unit_names[unit]
        learned = {one for one in here if not one.endswith("num_batches_tracked")}
        moves = tune or unit >= keep
        assert differ(here, moved) & learned == (learned if moves else set()), begin.network.unit_names[unit]


@pytest.mark.parametrize("keep", [1, 3, 5])
def test_truth_transplant_random_units_never_learn(context, keep):
    recipe, begin, source, drawn = begun(context, "toy_conv", keep=keep, source="random")
    after = trained(recipe, begin)
    parts = zip(*(tensors_of(begin.network, state) for state in (begin.state, source, drawn, after)), strict=True)
    for unit, (here, theirs, fresh, moved) in enumerate(parts):
        weights = {one for one in here if one.endswith(("conv.weight", "fc.weight"))}
        assert not (differ(here, fresh) & weights), "statistics may be given life, kernels are as drawn"
        assert weights <= differ(here, theirs) or unit == begin.network.num_units - 1
        assert bool(differ(here, moved)) == (unit >= keep)


def test_truth_transplant_of_all_but_the_head_is_the_linear_probe():
    num = toys.network().num_units
    probe, tuned = toys.recipe("linear_probe", num), toys.recipe("full_finetune", num)
    assert toys.recipe("transplant", num, keep=num - 1) == probe
    assert toys.recipe("transplant", num, keep=num - 1, tune=True) == tuned
    assert toys.recipe("transplant", num, keep=num - 1, source="random") == toys.recipe("random_features", num)


@pytest.mark.parametrize(("options", "says"), [
    ({"keep": 6}, "keep the head"), ({"keep": 1, "source": "random", "tune": True}, "training from scratch"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        toys.recipe("transplant", 6, **options)


@pytest.mark.parametrize("units", [1, 2, 4])
def test_truth_reinit_top(units):
    """As many units as are said are fresh, counted below the head, and everything trains: which is a transplant."""
    recipe = toys.recipe("reinit_top", 6, units=units)
    assert recipe == Recipe(phases=uniform([1.0] * 6), reinit=5 - units)
    assert recipe == toys.recipe("transplant", 6, keep=5 - units, tune=True)
    entry = strategies.find("reinit_top")
    assert entry.axis(entry.options(units=units), 6) == Axis("kept", 5 - units, "tuned")


def test_truth_reinit_top_of_all_depths():
    entry = strategies.find("reinit_top")
    assert [one.units for one in entry.expand(entry.options(units="all"), 6)] == [1, 2, 3, 4]
    assert entry.expand(entry.options(), 6) == (entry.options(units=1),)
    with pytest.raises(ValueError, match=r"units: 5 would keep nothing, which is `scratch`; .* 1 \.\. 4 or all"):
        toys.recipe("reinit_top", 6, units=5)
