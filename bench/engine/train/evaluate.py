"""Scoring images: every one counts exactly once, at any batch size."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.engine.train.examples import Examples
from bench.engine.train.inputs import Direct, Inputs, Share, Supply
from bench.engine.train.precision import full
from bench.network.capture import in_eval_mode
from bench.spec.refs import Pipeline

BATCH = 256


@dataclass(frozen=True)
class Scored:
    correct: float  # images, or what they come to where every class counts alike
    num: int
    loss: float | None  # mean cross entropy; None where it is not finite

    @property
    def accuracy(self) -> float:
        return self.correct / self.num


def evaluate(module: nn.Module, images: Examples, pipeline: Pipeline, batch_size: int = BATCH) -> Scored:
    """The whole network, from pixels, in full precision."""

    def logits_of(inputs: Inputs) -> Tensor:
        logits: Tensor = module(*(value[0] for value in inputs))
        return logits[None]

    with in_eval_mode(module):
        (scored,) = score(logits_of, images, Direct(pipeline), batch_size)
    return scored


@torch.no_grad()
def score(
    logits_of: Callable[[Inputs], Tensor], images: Examples, supply: Supply, batch_size: int = BATCH
) -> list[Scored]:
    """One score per member of a stream: `logits_of` takes inputs [1, B, ...] and gives [M, B, C]."""
    correct: Tensor | int = 0
    loss: Tensor | float = 0.0
    start = 0
    weights = class_weights(images.labels) if images.by_class else None
    while start < len(images):
        index = torch.arange(start, min(start + batch_size, len(images)), device=images.device)
        try:
            logits = logits_of(supply.batches([Share(images, index)]))
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size //= 2
            continue
        start += len(index)
        labels = images.labels[index].expand(len(logits), -1)
        # Summed where they are: one look at a device for a whole split.
        right = logits.argmax(2) == labels
        correct = correct + (right.sum(1) if weights is None else (right * weights[index]).sum(1))
        each = F.cross_entropy(full(logits).flatten(0, 1), labels.flatten(), reduction="none")
        loss = loss + each.view(labels.shape).double().sum(1)
    assert isinstance(correct, Tensor)
    assert isinstance(loss, Tensor)
    num = len(images)
    return [
        Scored(right, num, total / num if math.isfinite(total) else None)
        for right, total in zip(correct.tolist(), loss.tolist(), strict=True)
    ]


def class_weights(labels: Tensor) -> Tensor:
    """float64 [N]: what an image counts, so that every class that is there counts alike and all count N together."""
    counts = torch.bincount(labels)
    return len(labels) / (counts.count_nonzero() * counts[labels].double())


def estimate_statistics(
    module: nn.Module, batches: Iterable[Tensor], norms: Sequence[nn.modules.batchnorm._BatchNorm] | None = None
) -> None:
    """The running statistics of these BatchNorms anew: the mean over the batches. `norms`: unset, those whose
    statistics move in training."""
    if norms is None:
        norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    try:
        with in_eval_mode(module), torch.no_grad():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # torch's word for the plain mean
                norm.train()
            for images in batches:
                module(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
