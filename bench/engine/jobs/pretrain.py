"""Pretraining inside a suite: the whole source split, every unit at one rate; the weights go into the shared store.
It begins with random weights, or with the backbone's where a strategy learns another data set on the way."""

import dataclasses
import math
from collections.abc import Callable

import torch
from safetensors.torch import save

from bench.engine.common.context import Context, OnDevice
from bench.engine.common.start import Finished, pretrained_state
from bench.engine.jobs.masked import learn_masked
from bench.engine.train.loop import Assignment, Outcome, train
from bench.engine.train.optimize import Hyper
from bench.keys import seed_for
from bench.network.build import build_network, load_pretrained
from bench.network.flops import training_flops
from bench.network.units import Network
from bench.network.weights import sha256_of
from bench.spec.job import PretrainSpec
from bench.spec.recipe import Recipe, uniform
from bench.spec.refs import Training
from bench.store import blobs
from bench.store.results import Cost, Logical, Point, PretrainResult
from bench.strategies.masked_tokens import MaskedTokens

EVALUATIONS = 4


def run_pretraining(spec: PretrainSpec, context: Context, begins: Callable[[], None]) -> Finished:
    """`begins` is called before the first step."""
    data = context.data(spec.data, spec.pipeline)
    meter = context.meter()
    network = build_network(spec.backbone, spec.data.num_classes, seed_for("pretrain init", spec.seed))
    state = pretrained_state(spec.backbone, context)
    loaded = load_pretrained(network, state, network.num_units) if state is not None else None
    network.module.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = Assignment(
        recipe=Recipe(
            init="random",
            phases=uniform([1.0] * network.num_units),
            penalty=None if spec.objective is None else MaskedTokens(phases=None),
        ),
        training=_training(spec, len(data.train)),
        hyper=Hyper(spec.lr, spec.weight_decay),
        pipeline=spec.pipeline,
        images=data.train,
        order_seed=seed_for("pretrain order", spec.seed),
        scored=data.test,
        evaluations=EVALUATIONS,
    )
    begins()
    outcome, curve, num_test = (_labels if spec.objective is None else learn_masked)(network, task, data)
    batch_size = min(spec.batch_size, len(data.train))
    flops = training_flops(network, task.procedure, batch_size, task.training.steps, {})
    logical = Logical(steps=outcome.steps, samples=outcome.samples, flops=flops)
    cost = Cost(logical=logical, measured=meter.read())
    if outcome.diverged_at is not None or not curve:
        error = f"loss not finite at step {outcome.diverged_at}, rate {spec.lr:g}"
        return Finished("diverged", cost=cost, error=error)
    # A head that learned nothing is nobody's to ask.
    unlearned = set() if spec.objective is None else set(network.parameters[-1])
    whole = network.module.state_dict()
    state = {name: tensor.contiguous().cpu() for name, tensor in whole.items() if name not in unlearned}
    result = PretrainResult(
        metric=spec.data.metric,
        score=curve[-1].accuracy,
        num_test=num_test,
        curve=curve,
        dataset_sha256=data.sha256,
        weights=dataclasses.asdict(loaded) if loaded is not None else None,
        weights_sha256=blobs.put(context.shared.root, save(state)),
        tensors_sha256=sha256_of(state),
    )
    return Finished("ok", result, cost)


def _labels(network: Network, task: Assignment, data: OnDevice) -> tuple[Outcome, list[Point], int]:
    outcome = train(network, task)
    return outcome, outcome.curve, outcome.last.num if outcome.last is not None else 0


def _training(spec: PretrainSpec, num_images: int) -> Training:
    return Training(
        steps=spec.epochs * math.ceil(num_images / min(spec.batch_size, num_images)),
        batch_size=spec.batch_size,
        optimizer=spec.optimizer,
        momentum=0.9,
        schedule="cosine",
        warmup=0.1,
        label_smoothing=0.0,
        flip=False,
        shift=spec.shift,
        views=0,
        evaluations=EVALUATIONS,
        precision="fp32",
        deterministic=spec.deterministic,
    )
