"""What cheap scores say, before any training, of how well a network will transfer to a final's target; for its record.
Asked only where a suite says so.

The network is looked at as a linear probe sees it: as it was pretrained, in evaluation, in fp32; a random one with live
branches and statistics. The examples are the labelled ones of the repeat, and no other. Nothing here is of a training,
so the same numbers stand in all finals of one target, repeat and network: they are found out once and remembered.
`bench/solve/forecasts.py` has the scores, `bench/analysis/forecasts.py` asks which of them would have chosen well.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets.sampling import shuffled
from bench.engine.common.context import Context, OnDevice
from bench.engine.common.controls import enliven
from bench.engine.common.sources import features_of, network_as_taught
from bench.engine.common.start import labelled_images, pretrained_state, pretraining_of
from bench.engine.train.examples import Examples
from bench.engine.train.faults import pass_on
from bench.errors import NotApplicable
from bench.keys import digest, seed_for
from bench.network.build import build_network, load_pretrained
from bench.network.capture import classifier_of, in_eval_mode
from bench.network.units import Network
from bench.solve import forecasts
from bench.spec.job import FitSpec
from bench.spec.recipe import Recipe, head_only
from bench.store.remembered import find_out_once
from bench.store.results import Forecast

FORM = 1  # of what is remembered: another way of measuring has another number
MOST = 1000  # examples: PARC looks at all pairs of them

OF_FEATURES: dict[str, Callable[[Tensor, Tensor], float | None]] = {
    "log_me": forecasts.log_me,
    "h_score": forecasts.h_score,
    "shrunk_h_score": forecasts.shrunk_h_score,
    "transrate": forecasts.transrate,
    "parc": forecasts.parc,
    "gbc": forecasts.gbc,
    "cka": forecasts.cka_with_labels,
}


def forecast_of(spec: FitSpec, context: Context) -> dict[str, Any]:
    """Fields of a final's record; none where nobody asked, or where the target is not learned from these weights."""
    recipe = spec.recipe
    if not context.forecasts or recipe.init == "random" or recipe.own_head is not None or recipe.labels is not None:
        return {}
    try:
        with context.pause():
            found = _found_out(spec, context)
    except Exception as error:  # a failed diagnosis must not cost the score
        pass_on(error)
        why = f"{type(error).__name__}: {error}"
        context.notice(f"{spec.data.name}: transfer could not be forecast: {why}")
        found = Forecast(error=why).plain()
    return {"forecast": found}


def _found_out(spec: FitSpec, context: Context) -> dict[str, Any]:
    data, weights = context.data(spec.data, spec.pipeline), spec.backbone.weights
    made = pretraining_of(weights, context).pretraining if weights.origin == "pretrain" else None
    network = [spec.backbone, made.weights_sha256 if made is not None else None]
    labels = [spec.data, data.sha256, spec.budget, spec.listed, spec.seed, spec.repeat]
    name = digest([FORM, spec.pipeline, network, labels])
    found: dict[str, Any] = find_out_once(
        context.cache / "forecasts" / name, lambda: _measure(spec, data, context).plain(), context.notice
    )
    return found


def _measure(spec: FitSpec, data: OnDevice, context: Context) -> Forecast:
    labelled = labelled_images(spec, data)
    network = _as_probed(spec, labelled, context)
    images, watch = _some(labelled), _Watch()
    with torch.no_grad(), in_eval_mode(network.module):
        features = watch.timed("features", lambda: features_of(network, images, spec.pipeline).double())
    if not features.isfinite().all():
        raise ValueError("some features are not finite")
    found = {name: watch.timed(name, partial(score, features, images.labels)) for name, score in OF_FEATURES.items()}
    found |= _by_the_own_head(spec, images, context, watch)
    return Forecast(num=len(images), num_labels=len(labelled), **found, seconds=watch.seconds)


def _as_probed(spec: FitSpec, labelled: Examples, context: Context) -> Network:
    """The network that a linear probe of this repeat begins with; one of its own, as others are in use."""
    network = build_network(spec.backbone, spec.data.num_classes, seed_for("init", spec.seed, spec.repeat), spec.head)
    state = pretrained_state(spec.backbone, context)
    upto = network.num_units - 1 if state is not None else 0
    if state is not None:
        load_pretrained(network, state, upto)
    network.module.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    enliven(network, replace(spec, recipe=Recipe(phases=head_only(network.num_units))), upto, labelled)
    return network


def _some(images: Examples) -> Examples:
    """The same ones every time."""
    if len(images) <= MOST:
        return images
    return images.take(np.sort(shuffled(len(images), seed_for("forecast"))[:MOST]))


def _by_the_own_head(spec: FitSpec, images: Examples, context: Context, watch: "_Watch") -> dict[str, Any]:
    """What the classifier that the network was pretrained with says; the reason where there is none."""
    try:
        taught = network_as_taught(spec.backbone, spec.pipeline, context).network
    except NotApplicable as error:
        return {"leep": None, "nce": None, "without_head": str(error)}
    with torch.no_grad(), in_eval_mode(taught.module):
        answers = classifier_of(taught)(features_of(taught, images, spec.pipeline)).double().softmax(1)
    return {
        "leep": watch.timed("leep", lambda: forecasts.leep(answers, images.labels)),
        "nce": watch.timed("nce", lambda: forecasts.nce(answers.argmax(1), images.labels)),
    }


class _Watch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, find: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = find()
        self.seconds[name] = time.perf_counter() - started
        return found
