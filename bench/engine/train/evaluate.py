"""Scoring images: every one counts exactly once, at any batch size."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bench.engine.train.examples import Examples
from bench.engine.train.faults import is_out_of_memory
from bench.engine.train.inputs import Direct, Inputs, Share, Supply
from bench.engine.train.precision import full
from bench.metrics import score_of
from bench.network.capture import in_eval_mode
from bench.spec.refs import Keeps, Metric, Pipeline
from bench.store.predictions import Predictions

BATCH = 256
MOST_CLASSES = 1 << 16  # that a class's number has room for in the file of what is kept
Classes = npt.NDArray[np.int32]
Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Logs:
    """Of each example the log-probability of two classes, and the probabilities of all where these are wanted."""

    log_classes: Halves | None = None  # [N] of the predicted class
    log_truth: Halves | None = None  # [N]
    probabilities: Halves | None = None  # [N, C]


@dataclass(frozen=True, eq=False)
class Scored:
    """What a network said of some examples, in their order."""

    truth: Classes  # [N]
    predicted: Classes  # [N]
    num_classes: int
    loss: float | None  # mean cross entropy; None where it is not finite
    metric: Metric = "accuracy"
    keeps: Keeps = "none"
    logs: Logs = Logs()
    images: npt.NDArray[np.uint32] | None = None  # places in a pool that repeats divide anew [N]

    @property
    def num(self) -> int:
        return len(self.truth)

    @cached_property
    def score(self) -> float:
        return score_of(self.metric, self.truth, self.predicted, self.num_classes)

    def among(self, num_classes: int) -> "Scored":
        """Of logits that go on beyond the classes of the examples."""
        logs = self.logs
        if logs.probabilities is not None:
            logs = replace(logs, probabilities=logs.probabilities[:, :num_classes])
        return replace(self, predicted=np.minimum(self.predicted, num_classes), num_classes=num_classes, logs=logs)

    def bare(self) -> "Scored":
        """Without what is kept of each example."""
        return self if self.keeps == "none" else replace(self, keeps="none", logs=Logs())

    @property
    def predictions(self) -> Predictions | None:
        if self.keeps == "none":
            return None
        right = self.truth == self.predicted
        if self.keeps == "bits" or self.num_classes > MOST_CLASSES:
            return Predictions(right, images=self.images)
        logs = self.logs
        return Predictions(right, self.truth.astype(np.uint16), self.predicted.astype(np.uint16),
                           logs.log_classes, logs.log_truth, logs.probabilities, self.images)


def pooled(parts: Sequence[Scored]) -> tuple[float, float | None]:
    """Score and loss over all of them. Of a mean per class, which small parts lack classes for, every part counts by
    its size; any other score is that of all examples together."""
    num = sum(one.num for one in parts)
    losses = [one.loss * one.num for one in parts if one.loss is not None]
    loss = sum(losses) / num if len(losses) == len(parts) else None
    first = parts[0]
    if first.metric == "mean_per_class":
        return sum(one.score * one.num for one in parts) / num, loss
    truth, predicted = (np.concatenate([getattr(one, name) for one in parts]) for name in ("truth", "predicted"))
    return score_of(first.metric, truth, predicted, first.num_classes), loss


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
    answers = Answers(images)
    start = 0
    while start < len(images):
        index = torch.arange(start, min(start + batch_size, len(images)))
        try:
            logits = logits_of(supply.batches([Share(images, index)]))
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not is_out_of_memory(error):
                raise
            batch_size //= 2
            continue
        start += len(index)
        answers.add(full(logits))
    return answers.scored()


class Answers:
    """Logits of some examples, batch by batch, and what is to be known of them. Everything stays on the device until
    the end: one look at it for a whole split. Probabilities of all classes alone are too many for that."""

    def __init__(self, images: Examples, are_likelihoods: bool = True) -> None:
        """`are_likelihoods`: softmax makes probabilities of these logits. Otherwise there is no loss."""
        self.images, self.are_likelihoods = images, are_likelihoods
        self._num = self._num_classes = 0
        self._predicted: list[Tensor] = []  # of each batch [M, B]
        self._loss: Tensor | float = 0.0 if are_likelihoods else math.inf
        self._logs: list[tuple[Tensor, ...]] = []  # of each batch [M, B] twice, [M, B, C] where all are wanted

    def add(self, logits: Tensor) -> None:
        """[M, B, C], of the next B examples."""
        num_members, num, self._num_classes = logits.shape
        labels = self.images.labels[self._num : self._num + num].expand(num_members, -1)
        self._num += num
        predicted = logits.argmax(2)
        self._predicted.append(predicted)
        if not self.are_likelihoods:
            return
        logs = logits.log_softmax(2)
        of_truth = logs.gather(2, labels[..., None])[..., 0]
        self._loss = self._loss - of_truth.double().sum(1)
        if self.images.keeps in ("classes", "full"):
            of_predicted = logs.gather(2, predicted[..., None])[..., 0]
            kept = [_half(of_predicted), _half(of_truth)]
            self._logs.append((*kept, logs.exp().half().cpu()) if self.images.keeps == "full" else tuple(kept))

    def scored(self) -> list[Scored]:
        truth = self.images.known_labels.astype(np.int32)
        predicted = torch.cat(self._predicted, 1).int().cpu().numpy()
        losses = self._loss.tolist() if isinstance(self._loss, Tensor) else [self._loss] * len(predicted)
        logs = [torch.cat(parts, 1).cpu().numpy() for parts in zip(*self._logs, strict=True)]
        return [
            Scored(
                truth, predicted[m], self._num_classes, total / self._num if math.isfinite(total) else None,
                self.images.metric, self.images.keeps, Logs(*(one[m] for one in logs)), self.images.places,
            )
            for m, total in enumerate(losses)
        ]  # fmt: skip


def _half(logs: Tensor) -> Tensor:
    """Finite in half precision, too."""
    return logs.clamp(min=torch.finfo(torch.float16).min).half()


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
