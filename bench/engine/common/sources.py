"""Where a network comes from: its original head, and the images it was pretrained on, for those strategies that ask."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from bench.engine.common.context import Context
from bench.engine.common.start import Start, pretrained_state, pretraining_of, root_of
from bench.engine.train.evaluate import BATCH
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Stream
from bench.engine.train.setting import SourceNetwork, TrainingSetting
from bench.errors import NotApplicable
from bench.keys import digest
from bench.network.build import build_network
from bench.network.capture import watched
from bench.network.units import Network
from bench.spec.job import FitSpec
from bench.spec.refs import BackboneRef, Pipeline, Weights


def setting_for(spec: FitSpec, begin: Start, stream: Stream, context: Context) -> TrainingSetting:
    return TrainingSetting(
        network=begin.network,
        start=begin.state,
        images=stream.images,
        pipeline=spec.pipeline,
        training=spec.training,
        seed=stream.order_seed,
        unlabelled=_unlabelled(context.data(spec.data, spec.pipeline).train, stream),
        find_source=lambda: source_of(spec, context),
        memo=begin.memo,
    )


def _unlabelled(train: Examples, stream: Stream) -> Examples:
    """The training split without its labels, and without what this training is scored on."""
    free = torch.full((train.split_size,), train.rows is None)
    if train.rows is not None:
        free[train.rows] = True
    scored = stream.scored
    if scored is not None and scored.origin == train.origin and scored.rows is not None:
        free[scored.rows] = False
    rows = free.nonzero().flatten()
    return replace(train, rows=rows, labels=torch.full((len(rows),), -1, dtype=torch.int64, device=train.device))


def source_of(spec: FitSpec, context: Context) -> SourceNetwork:
    """Made once for each backbone and kept while a few others are."""
    key = digest(["source", spec.backbone, spec.pipeline])
    return context.kept(key, lambda: network_as_taught(root_of(spec.backbone, context), spec.pipeline, context))


def network_as_taught(ref: BackboneRef, pipeline: Any, context: Context) -> SourceNetwork:
    """With the head and the data set of its last pretraining."""
    state = pretrained_state(ref, context)
    if state is None:
        raise NotApplicable("needs the head that the backbone was pretrained with; its weights are random")
    plain = type(ref)(ref.name, ref.options, ref.units, Weights("random"))
    names = [name for name, p in build_network(plain, 2, 0).parameters[-1].items() if p.ndim > 1]
    if not all(name in state for name in names):
        raise NotApplicable("needs the head that the backbone was pretrained with; these weights came without it")
    num_classes = len(state[names[0]])
    network = build_network(plain, num_classes, 0)
    missing = [name for name in network.module.load_state_dict(state, strict=False).missing_keys
               if not name.endswith("num_batches_tracked")]  # fmt: skip
    if missing:
        raise NotApplicable(f"needs the whole network as it was pretrained; its weights lack {', '.join(missing[:3])}")
    network.module.to(context.device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    if ref.weights.origin != "pretrain":
        return SourceNetwork(network, num_classes)
    data = context.data(pretraining_of(ref.weights, context).learned.data, pipeline)
    return SourceNetwork(network, num_classes, data.train, data.test)


def features_of(network: Network, images: Examples, pipeline: Pipeline) -> Tensor:
    """What reaches the classifier, the network as it is. [n, D]"""
    found = []
    for start in range(0, len(images), BATCH):
        index = torch.arange(start, min(start + BATCH, len(images)))
        with watched(network) as seen:
            network.module(images.take(index).inputs(pipeline))
        found.append(seen.features[0])
    return torch.cat(found)
