"""Small values for tests that train: specs, images, contexts; and a witness of what an optimizer was given."""

import dataclasses
import functools

import numpy as np
import torch
from torch import nn

from bench import strategies
from bench.engine.common.context import Context
from bench.engine.jobs.perform import perform
from bench.engine.train import solo as team
from bench.engine.train.evaluate import Scored
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Assignment
from bench.engine.train.optimize import Hyper
from bench.engine.train.setting import SourceNetwork, TrainingSetting
from bench.network.build import adapted, build_network
from bench.network.units import Network
from bench.spec.job import FitSpec, Job, PretrainSpec, Procedure
from bench.spec.recipe import Recipe, uniform
from bench.spec.refs import BackboneRef, DataRef, Engine, LabelBudget, NewHead, Pipeline, Search, Training, Weights
from bench.store import Store
from tests.conftest import CLASSES, TinyOptions, tiny_load

torch.set_num_threads(1)

TOYS = ("toy_conv", "toy_vit")
PIPELINE = Pipeline(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TRAINING = Training(12, 8, "sgd", 0.9, "cosine", 0.1, 0.0, False, 0, 0, 3, "fp32")
SEARCH = Search(3, "grid", "none", 1.0, 1e-2, 1e-1, 1e-4, None, None, 0, 0.25)
HYPER = Hyper(0.05, 1e-3)
DATA = DataRef("tiny", {"shade": 0}, "tiny-0", CLASSES)
ONE_UNIT = Recipe(phases=uniform([1.0]))


def network(name="toy_conv", seed=1):
    return build_network(BackboneRef(name, {}, "coarse", Weights("random")), CLASSES, seed)


def images(split="train"):
    loaded = getattr(tiny_load(TinyOptions()), split)
    return Examples.on_device(loaded, torch.device("cpu"))


def recipe(name, num_units, **options):
    entry = strategies.find(name)
    return entry.build(entry.options.model_validate(options), num_units)


def prepared(of, name="toy_conv", seed=1):
    """The network as the recipe wants it. Raises NotApplicable."""
    net = network(name, seed)
    return net if of.adapt is None else adapted(net, of.adapt, ("coarse", 3))


def setting_of(net, training=TRAINING, on=None):
    """As a training with all there can be would have it: a source head of four classes, and source images."""
    on = images() if on is None else on

    def source():
        plain = build_network(BackboneRef("toy_vit" if net.num_units == 5 else "toy_conv", {}, "coarse",
                                          Weights("random")), CLASSES, 5)  # fmt: skip
        plain.module.eval().requires_grad_(False)
        return SourceNetwork(plain, CLASSES, images("test"), images("test"))

    start = {name: tensor.clone() for name, tensor in net.module.state_dict().items()}
    return TrainingSetting(net, start, on, PIPELINE, training, 7, images(), functools.cache(source))


def procedure(of, **changes):
    """`changes`: fields of the training that differ."""
    return Procedure(of, dataclasses.replace(TRAINING, **changes), PIPELINE)


def phase_steps(of, steps):
    """(phase, first step, end)"""
    return [(of.phases[number], start, end) for number, start, end in of.numbered_phases(steps)]


def assignment(of, changes=None, net=None, **fields):
    """`changes`: fields of the training that differ. `net`: asked for by recipes with coded parts."""
    training = dataclasses.replace(TRAINING, **(changes or {}))
    if net is not None and of.trains_alone:
        fields["setting"] = setting_of(net, training, fields.get("images"))
    standard = {"hyper": HYPER, "pipeline": PIPELINE, "order_seed": 7}
    given = {**standard, **fields}
    if "images" not in given:
        given["images"] = images()
    return Assignment(recipe=of, training=training, **given)


def fit_spec(**fields):
    standard = {
        "data": DATA,
        "budget": LabelBudget("labels_per_class", 8.0),
        "backbone": BackboneRef("toy_conv", {}, "coarse", Weights("random")),
        "recipe": recipe("full_finetune", 6),
        "pipeline": PIPELINE,
        "training": TRAINING,
        "search": SEARCH,
        "head": NewHead(),
        "repeat": 0,
        "seed": 0,
    }
    return FitSpec(**{**standard, **fields})


def pretrain_job(**fields):
    standard = {
        "data": DATA, "backbone": BackboneRef("toy_conv", {}, "coarse", Weights("random")), "pipeline": PIPELINE,
        "epochs": 2, "batch_size": 16, "optimizer": "sgd", "lr": 0.1, "weight_decay": 5e-4, "shift": 1, "seed": 0,
    }
    return Job("pretrain", PretrainSpec(**{**standard, **fields}))


def search_and_final(spec, *needs):
    search = Job("search", spec, needs)
    return search, Job("final", spec, (*needs, search.key))


def everything(context, spec, *needs):
    """Search and final done; the records of its trials and of the final."""
    search, final = search_and_final(spec, *needs)
    assert perform(search, context)
    assert perform(final, context)
    return [context.store.read(key) for key in search.record_keys], context.store.read(final.key)


def pretrained(context, **fields):
    """A spec that starts from weights pretrained in this context, and what it needs."""
    job = pretrain_job(data=dataclasses.replace(DATA, options={"shade": 1}, revision="tiny-1"))
    assert perform(job, context)
    backbone = BackboneRef("toy_conv", {}, "coarse", Weights("pretrain", job.key))
    return fit_spec(backbone=backbone, **fields), job


class Messages(list):
    """What a context said, in order."""

    def begins(self, records, together=1):
        self.extend(("begins", record) for record in records)

    def announce(self, record):
        self.append(("written", record))


def context(folder, **fields):
    messages = Messages()
    made = Context(
        store=Store(folder / "suite"), shared=Store(folder / "pretrained"), cache=folder / "cache",
        device=torch.device("cpu"), weights_files={}, provenance={"commit": "none"},
        begins=messages.begins, announce=messages.announce, stopping=lambda: False, engine=Engine(fleet=1),
    )
    return dataclasses.replace(made, **fields)


def scored(num_right, num, loss):
    """So many of so many are right."""
    return Scored(np.zeros(num, np.int32), (np.arange(num) >= num_right).astype(np.int32), 2, loss)


def numbers(outcome):
    """All that became of a replica, as values that can be compared."""
    scored = [outcome.last, outcome.own, *outcome.seen.values()]
    told = [None if one is None else (one.score, one.loss, one.predicted.tolist()) for one in scored]
    return outcome.steps, outcome.samples, outcome.curve, outcome.diverged_at, list(outcome.seen), told


def metrics(record):
    """A record without what a clock or the machine's memory says."""
    return (record.status, record.spec, record.result, record.cost.get("logical"), record.error)


def ended(outcome):
    """A session that is over before it began, with this outcome."""

    class Ended:
        outcomes, batch_size, team = [[outcome]], 8, None

        def __init__(self, *_):
            pass

        def advance(self, *_):
            pass

        def look_at_own(self):
            pass

        def look_at_shift(self):
            pass

        def engine_use(self):
            return {}

    return Ended


class Linear(nn.Module):
    """Pixels -> logits: one unit, one matrix, one bias."""

    def __init__(self, num_inputs, num_classes=2):
        super().__init__()
        self.fc = nn.Linear(num_inputs, num_classes)

    def forward(self, x):
        return self.fc(x.flatten(1))


def one_unit(module):
    names = tuple(name for name, _ in module.named_modules() if name)
    return Network(
        module, ("head",), (dict(module.named_parameters()),), ((),), (tuple(map(module.get_submodule, names)),)
    )


def watch(monkeypatch, note):
    """Calls `note(optimizer)` before every step of every optimizer that training makes; returns these optimizers."""
    made = []
    real = team.make_optimizer

    def make(*arguments, **more):
        optimizer = real(*arguments, **more)
        optimizer.register_step_pre_hook(lambda stepping, args, kwargs: note(stepping))
        made.append(optimizer)
        return optimizer

    monkeypatch.setattr(team, "make_optimizer", make)
    return made


def units_with_gradients(optimizer):
    return {g["unit"] for g in optimizer.param_groups for p in g["params"] if p.grad is not None}


def rates_by_unit(optimizer):
    return {group["unit"]: group["lr"] for group in optimizer.param_groups}


def frozen_state(net):
    """Everything a training could move, by unit: copies of parameters and buffers."""
    state = net.module.state_dict()
    return [
        {name: state[name].clone() for name in (*parameters, *buffers)}
        for parameters, buffers in zip(net.parameters, net.buffers, strict=True)
    ]


def moved(before, after):
    """Names that are not equal to the last bit, by unit."""
    return [{n for n in one if not torch.equal(one[n], two[n])} for one, two in zip(before, after, strict=True)]


