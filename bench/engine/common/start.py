"""A network as trainings find it, and what each training leaves to be recorded."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import modalities
from bench.backbones.weights_file import file_sha256
from bench.datasets.split_lists import Listed
from bench.engine.common import labels as labels_of
from bench.engine.common.context import Context, OnDevice
from bench.engine.common.controls import Enlivened, enliven
from bench.engine.train.evaluate import Scored
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Outcome, Stream
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.network.build import adapted, build_network, load_pretrained, read_state, redraw
from bench.network.capture import put
from bench.network.units import Network
from bench.network.weights import Loaded, WeightsError
from bench.spec.job import FitSpec
from bench.spec.recipe import Recipe
from bench.spec.refs import BackboneRef, Metric, Weights
from bench.store import Record, blobs
from bench.store.predictions import Predictions
from bench.store.record import Status
from bench.store.results import Cost, Fields, Logical, Point, ShiftScore, Unscored

SHOWN = 3  # classes that a message names
ROUNDING = 1e-6  # of float32: a head that is all zeros comes to ln K, but for this


@dataclass(frozen=True)
class Start:
    """A network as every training of a job finds it."""

    network: Network
    state: dict[str, Tensor]
    loaded: Loaded | None  # None: nothing pretrained in it
    enlivened: Enlivened | None = None  # what was done to random weights that do not learn
    memo: dict[str, Any] = field(default_factory=dict, compare=False)  # what was found out about it

    def renew(self) -> Network:
        """In place: the parameters stay the same objects, so nothing has to be built again."""
        put(self.state, self.network.module)
        return self.network


@dataclass(frozen=True)
class Finished:
    """What one record is made of."""

    status: Status
    result: Fields = field(default_factory=Unscored)
    cost: Cost = field(default_factory=Cost)
    error: str | None = None
    predictions: Predictions | None = None  # of a final


def start(spec: FitSpec, context: Context) -> Start:
    """Head and random weights come from the seed named `init`, the same for every strategy of a repeat."""
    recipe = spec.recipe
    assert recipe.via is None, "planning makes a pretraining of it"
    seed = seed_for("init", spec.seed, spec.repeat)
    fresh = build_network(spec.backbone, spec.data.num_classes, seed, spec.head)
    loaded, upto = None, 0
    if recipe.init != "random":
        state = pretrained_state(spec.backbone, context)
        if state is not None:
            upto = fresh.num_units - 1 if recipe.reinit is None else recipe.reinit
            loaded = load_pretrained(fresh, state, upto)
    drawing = torch.Generator().manual_seed(seed_for("moments", spec.seed, spec.repeat))
    if recipe.init == "moments":
        redraw(fresh, drawing)
    if recipe.adapt is not None:
        fresh = adapted(fresh, recipe.adapt, (spec.backbone.units, seed_for("adapt", spec.seed, spec.repeat)))
    check_learns(fresh, recipe)
    fresh.module.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    enlivened = enliven(fresh, spec, upto, labelled_images(spec, data_of(spec, context)))
    network = context.network(spec.backbone, (spec.data.num_classes, spec.head, recipe.adapt), fresh)
    kept = {name: tensor.detach().clone() for name, tensor in fresh.module.state_dict().items()}
    return Start(network, kept, loaded, enlivened)


def check_learns(network: Network, recipe: Recipe) -> None:
    """Where a network has none of the tensors that shall learn, what would train is the head, as in a probe."""
    if recipe.tensors in ("biases", "norms"):
        below = network.learned(recipe.touched(len(recipe.phases) - 1)) - set(network.parameters[-1])
        if not below:
            raise NotApplicable(f"this network has no {'biases' if recipe.tensors == 'biases' else 'norms'} to train")


def pretrained_state(backbone: BackboneRef, context: Context) -> dict[str, Tensor] | None:
    return context.pretrained_state(backbone, lambda: read_state(backbone, weights_path(backbone, context)))


def pretraining_of(weights: Weights, context: Context) -> Record:
    record = context.shared.read(weights.identity)
    if record is None or record.status != "ok":
        raise RuntimeError(f"the pretraining {weights.identity} left no weights")
    return record


def root_of(ref: BackboneRef, context: Context) -> BackboneRef:
    """The backbone before any stage on the way to the target."""
    while ref.weights.origin == "pretrain":
        before = pretraining_of(ref.weights, context).learned.backbone.weights
        if before.origin == "random":
            break
        ref = replace(ref, weights=before)
    return ref


def weights_path(backbone: BackboneRef, context: Context) -> Path | None:
    if backbone.weights.origin in ("file", "hub"):
        path = context.weights_files[backbone.weights.identity]
        if file_sha256(path) != backbone.weights.identity.rpartition("@")[2]:
            raise WeightsError(f"{path.name} was changed after this run was planned; start it again")
        return path
    if backbone.weights.origin != "pretrain":
        return None
    made = pretraining_of(backbone.weights, context).pretraining
    assert made is not None
    blobs.get(context.shared.root, made.weights_sha256)  # verifies
    return blobs.path_of(context.shared.root, made.weights_sha256)


def data_of(spec: FitSpec, context: Context) -> OnDevice:
    """What a job learns from and is scored on: the target. Where a recipe learns the source's labels, the training
    split is the source's, as far as it is of the target's classes, and in their numbers. Its trials are scored on the
    source's test split, because the pretraining has learned all of the training split."""
    target = context.data(spec.data, spec.pipeline)
    if spec.recipe.labels is None:
        return target
    root, example = root_of(spec.backbone, context).weights, modalities.of(spec.pipeline).example
    if root.origin != "pretrain":
        raise NotApplicable(f"needs labelled source {example}s: a backbone with `pretrain: {{dataset: ...}}`")
    source = context.data(pretraining_of(root, context).learned.data, spec.pipeline)
    if absent := [name for name in target.classes if name not in source.classes]:
        shown = ", ".join(map(repr, absent[:SHOWN])) + (f" and {len(absent) - SHOWN} more" if absent[SHOWN:] else "")
        raise NotApplicable(f"needs a source that has the target's classes; it lacks {shown}")
    numbers = torch.full((len(source.classes),), -1, device=source.train.device)
    for number, name in enumerate(target.classes):
        numbers[source.classes.index(name)] = number
    train, validation = (_of_target(split, numbers, target.train.metric) for split in (source.train, source.test))
    if not len(validation):
        raise NotApplicable(f"needs test {example}s of the source that show the target's classes")
    return replace(target, train=train, validation=validation)


def _of_target(images: Examples, numbers: Tensor, metric: Metric) -> Examples:
    """`numbers`: of each class of the source among the target's; -1 where it is none of them."""
    labels = numbers[images.labels]
    shared = (labels >= 0).nonzero().flatten()
    return replace(images.take(shared), labels=labels[shared], metric=metric, keeps="none")


def labelled_images(spec: FitSpec, data: OnDevice) -> Examples:
    """The label budget of this repeat."""
    return data.train.take(labels_of.labelled(spec, data.train_labels, data.listed_for(spec)))


def trial_streams(
    spec: FitSpec, images: Examples, validation: Examples | None = None, listed: Listed | None = None
) -> list[Stream]:
    """One for each split of the labelled images: trained on its training part, scored on its validation part.
    `validation`: images of their own to be scored on; then one stream is trained on all labelled images. `listed`: what
    a list says of the labels."""
    if validation is not None:
        return [Stream(images, seed_for("order", spec.seed, spec.data.name, spec.repeat, 0), validation)]
    parts = labels_of.splits(spec, images.known_labels, listed)
    return [
        Stream(
            images.take(train_part),
            seed_for("order", spec.seed, spec.data.name, spec.repeat, fold),
            images.take(validation),
        )
        for fold, (train_part, validation) in enumerate(parts)
    ]


def final_stream(spec: FitSpec, data: OnDevice) -> Stream:
    """All labels of the repeat, scored on the test split, and on a further one; that is none of a mistake at test."""
    images = labelled_images(spec, data)
    shift = data.shift if spec.deployed is None else None
    return Stream(images, seed_for("order", spec.seed, spec.data.name, spec.repeat, "final"), data.test, shift)


def has_collapsed(outcome: Outcome, num_classes: int) -> bool:
    """Whether the network does no better than a uniform guess on its own training images, at the end and in evaluation.
    The test split is not consulted. False where this was not measured."""
    if outcome.own is None:
        return False
    loss = outcome.own.loss
    return loss is None or loss >= math.log(num_classes) * (1 - ROUNDING)


def of_shift(scored: Scored | None) -> dict[str, Any]:
    """A field of a final, where its data have a further split."""
    return {} if scored is None else {"shift": ShiftScore(score=scored.score, loss=scored.loss, num=scored.num)}


def scored_once(scored: Scored, data: OnDevice) -> dict[str, Any]:
    """Fields of a final for which nothing trained in steps, so that there was no moment of stopping to choose."""
    return {
        "dataset_sha256": data.sha256,
        "metric": data.test.metric,
        "score": scored.score,
        "loss": scored.loss,
        "num_test": scored.num,
        "best_on_test": scored.score,
        "curve": [Point(0, None, scored.score, scored.loss)],
    }


def weights_of(begin: Start) -> dict[str, Any]:
    """Where a final's weights came from, for its record."""
    return {
        "weights": dataclasses.asdict(begin.loaded) if begin.loaded is not None else None,
        "enlivened": dataclasses.asdict(begin.enlivened) if begin.enlivened is not None else None,
    }


def logical_cost(outcomes: Sequence[Outcome], network: Network, recipe: Recipe) -> Logical:
    """What the strategy costs on its own, on any machine."""
    every = dict(network.module.named_parameters())
    trained = [
        sum(every[name].numel() for name in network.learned(recipe.active(number)))
        for number in range(len(recipe.phases))
    ]
    return Logical(
        steps=sum(o.steps for o in outcomes),
        samples=sum(o.samples for o in outcomes),
        trainable_params=max(trained),
        added_params=sum(every[name].numel() for name in network.added),
        total_params=sum(p.numel() for p in network.module.parameters()),
    )
