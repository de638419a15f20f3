"""A search's trials and a final, each one training or a few, and what they leave to be recorded."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.backbones.build import build_network, load_pretrained, read_state
from bench.backbones.units import Network
from bench.backbones.weights import Loaded
from bench.engine import labels as labels_of
from bench.engine.context import Context, OnDevice
from bench.engine.loop import Assignment, Outcome, train
from bench.engine.measure import Meter
from bench.engine.optimize import Hyper
from bench.engine.search import Tried, choose, edge_of
from bench.keys import seed_for
from bench.plan.spec import BackboneRef, FitSpec
from bench.store import blobs
from bench.store.record import Status
from bench.strategies.recipe import Recipe


@dataclass(frozen=True)
class Start:
    """A network as every training of a job finds it."""

    network: Network
    state: dict[str, torch.Tensor]
    loaded: Loaded | None  # None: nothing pretrained in it

    def renew(self) -> Network:
        self.network.module.load_state_dict(self.state)
        return self.network


@dataclass(frozen=True)
class Finished:
    """What one record is made of."""

    status: Status
    result: dict[str, Any]
    cost: dict[str, Any]
    error: str | None = None


def start(spec: FitSpec, context: Context) -> Start:
    """Head and random weights come from the seed named `init`, the same for every strategy of a repeat."""
    recipe = spec.recipe
    network = build_network(spec.backbone, spec.data.num_classes, seed_for("init", spec.seed, spec.repeat))
    loaded = None
    if recipe.init == "pretrained":
        state = read_state(spec.backbone, weights_path(spec.backbone, context))
        if state is not None:
            upto = network.num_units if recipe.reinit is None else recipe.reinit
            loaded = load_pretrained(network, state, upto)
    network.module.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = {name: tensor.detach().clone() for name, tensor in network.module.state_dict().items()}
    return Start(network, kept, loaded)


def weights_path(backbone: BackboneRef, context: Context) -> Path | None:
    if backbone.weights.origin == "file":
        return context.weights_files[backbone.weights.identity]
    if backbone.weights.origin != "pretrain":
        return None
    record = context.shared.read(backbone.weights.identity)
    if record is None or record.status != "ok":
        raise RuntimeError(f"the pretraining {backbone.weights.identity} left no weights")
    sha256 = record.result["weights_sha256"]
    blobs.get(context.shared.root, sha256)  # verifies
    return blobs.path_of(context.shared.root, sha256)


def run_trial(spec: FitSpec, hyper: Hyper, begin: Start, context: Context) -> Finished:
    """One point of the search: trained on each split's training part, scored on all its validation parts."""
    data = context.data(spec.data)
    meter = Meter(context.device).start()  # after the data: whoever comes first would pay for loading it
    images = data.train.take(labels_of.labelled(spec, data.train.labels.cpu().numpy()))
    outcomes: list[Outcome] = []
    for fold, (train_part, validation) in enumerate(labels_of.splits(spec, images.labels.cpu().numpy())):
        task = Assignment(
            recipe=spec.recipe,
            training=spec.training,
            hyper=hyper,
            pipeline=spec.pipeline,
            images=images.take(train_part),
            order_seed=seed_for("order", spec.seed, spec.data.name, spec.repeat, fold),
            scored=images.take(validation),
        )
        outcomes.append(train(begin.renew(), task))
        if outcomes[-1].diverged_at is not None:
            break
    cost = {"logical": _logical(outcomes, begin.network, spec.recipe), "measured": meter.read()}
    chosen = dataclasses.asdict(hyper)
    diverged = outcomes[-1].diverged_at
    if diverged is not None:
        return Finished("diverged", chosen, cost, f"loss not finite at step {diverged}, rate {hyper.lr:g}")
    scored = [outcome.last for outcome in outcomes if outcome.last is not None]
    num = sum(s.num for s in scored)
    result = {
        **chosen,
        "score": sum(s.correct for s in scored) / num,
        "loss": None if any(s.loss is None for s in scored) else sum((s.loss or 0.0) * s.num for s in scored) / num,
        "num_validation": num,
        "folds": [
            {"score": o.last.accuracy, "loss": o.last.loss, "train_loss": o.curve[-1].train_loss}
            for o in outcomes
            if o.last is not None
        ],
    }
    return Finished("ok", result, cost)


def run_final(spec: FitSpec, history: Sequence[Tried], begin: Start, context: Context) -> Finished:
    """Train on all labels of the repeat with the chosen point; the last weights are the result."""
    chosen = choose(history)
    if chosen is None:
        return Finished("failed", {}, {}, f"none of the {len(history)} trials of its search has a score")
    data = context.data(spec.data)
    meter = Meter(context.device).start()
    index = labels_of.labelled(spec, data.train.labels.cpu().numpy())
    task = Assignment(
        recipe=spec.recipe,
        training=spec.training,
        hyper=chosen.hyper,
        pipeline=spec.pipeline,
        images=data.train.take(index),
        order_seed=seed_for("order", spec.seed, spec.data.name, spec.repeat, "final"),
        scored=data.test,
        evaluations=spec.training.evaluations,
        count_flops=True,
    )
    outcome = train(begin.renew(), task)
    cost = {"logical": _logical([outcome], begin.network, spec.recipe), "measured": meter.read()}
    result = {
        **dataclasses.asdict(chosen.hyper),
        "trial": chosen.number,
        "lr_edge": edge_of(chosen, spec.search),
        "num_labels": len(index),
        "dataset_sha256": data.sha256,
        "weights": dataclasses.asdict(begin.loaded) if begin.loaded is not None else None,
    }
    if outcome.diverged_at is not None:
        error = f"loss not finite at step {outcome.diverged_at}, rate {chosen.hyper.lr:g}"
        return Finished("diverged", result, cost, error)
    return Finished("ok", {**result, **_test_scores(outcome, data)}, cost)


def _test_scores(outcome: Outcome, data: OnDevice) -> dict[str, Any]:
    last = outcome.last
    assert last is not None
    assert last.num == len(data.test)
    return {
        "metric": "accuracy",
        "score": last.accuracy,
        "loss": last.loss,
        "num_test": last.num,
        # What choosing the moment of stopping on the test split would have claimed. A diagnosis, never a result.
        "best_on_test": max(point.accuracy for point in outcome.curve),
        "curve": [dataclasses.asdict(point) for point in outcome.curve],
    }


def _logical(outcomes: Sequence[Outcome], network: Network, recipe: Recipe) -> dict[str, int]:
    """What the strategy costs on its own, on any machine. FLOPs are counted in finals only."""
    trained = [
        sum(p.numel() for unit, rate in enumerate(phase.rates) if rate for p in network.parameters[unit].values())
        for phase in recipe.phases
    ]
    cost = {
        "steps": sum(o.steps for o in outcomes),
        "samples": sum(o.samples for o in outcomes),
        "trainable_params": max(trained),
        "total_params": sum(p.numel() for p in network.module.parameters()),
    }
    flops = sum(o.flops for o in outcomes)
    return {**cost, "flops": flops} if flops else cost

