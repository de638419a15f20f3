"""How far a target lies from what its network learned last, and the terms of the bound of Ben-David et al. 2010, for a
final's record. Asked only where a suite says so, of networks that were pretrained inside it.

Nothing here is of any training: the same numbers stand in all finals of one target and one network. They are found out
once and remembered beside the features, by the content of weights and examples. Source examples are those of its
test split, which the network has not learned from; the target's are of its training split.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets.sampling import shuffled, split_folds
from bench.engine.common.context import Context, OnDevice
from bench.engine.common.sources import features_of, network_as_taught
from bench.engine.common.start import pretraining_of
from bench.engine.train.evaluate import BATCH
from bench.engine.train.examples import Examples
from bench.engine.train.faults import pass_on
from bench.engine.train.setting import SourceNetwork
from bench.keys import digest, seed_for
from bench.network.capture import classifier_of, in_eval_mode
from bench.solve.two_samples import held_out_errors, squared_mmd
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef
from bench.store.remembered import find_out_once
from bench.store.results import Distance

FORM = 3  # of what is remembered: another way of measuring has another number
MOST = 512  # examples of each side, as many of one as of the other
FEWEST = 20
FOLDS = 5
PENALTY = 0.001  # of each classifier, by the scale of `closed_forms.py`
COUNTED = 4096  # numbers that tokens are counted under; of a larger vocabulary several have one in common
SIDE = 32  # pixels are told apart at this size at most, so that an image is a row of 3,072 numbers


def distance_of(spec: FitSpec, context: Context) -> dict[str, Any]:
    """Fields of a final's record; none where nobody asked, or where nothing was learned inside the suite."""
    if not context.distances or spec.backbone.weights.origin != "pretrain":
        return {}
    try:
        with context.pause():
            found = _found_out(spec, context)
    except Exception as error:  # a failed diagnosis must not cost the score
        pass_on(error)
        why = f"{type(error).__name__}: {error}"
        context.notice(f"{spec.data.name}: its distance from what was learned before could not be measured: {why}")
        found = Distance(error=why).plain()
    return {"distance": found}


def _found_out(spec: FitSpec, context: Context) -> dict[str, Any]:
    record = pretraining_of(spec.backbone.weights, context)
    made, learned = record.pretraining, record.learned.data
    assert made is not None
    source, target = context.data(learned, spec.pipeline), context.data(spec.data, spec.pipeline)
    images = [FORM, spec.pipeline, _content(learned, source), _content(spec.data, target)]
    folder = context.cache / "distances"

    def pixels() -> float:
        return _told_apart(*(_pixels(one, spec) for one in _samples(source.test, target.train)))

    def all_of_it() -> dict[str, Any]:
        apart = find_out_once(folder / digest(["pixels", *images]), pixels, context.notice)
        network = network_as_taught(spec.backbone, spec.pipeline, context)
        return _measure(spec, network, source, target).model_copy(update={"pixels": apart}).plain()

    network = [spec.backbone.name, spec.backbone.options, made.weights_sha256]
    found: dict[str, Any] = find_out_once(folder / digest([network, *images]), all_of_it, context.notice)
    return found


def _content(ref: DataRef, data: OnDevice) -> list[Any]:
    return [ref, data.sha256]


def _samples(source: Examples, target: Examples) -> tuple[Examples, Examples]:
    """The same ones every time, and as many of both."""
    num = min(len(source), len(target), MOST)
    if num < FEWEST:
        raise ValueError(f"{num} examples of each side; {FEWEST} are the fewest that say anything")
    return _some(source, num, "source"), _some(target, num, "target")


def _some(images: Examples, num: int, side: str) -> Examples:
    return images.take(np.sort(shuffled(len(images), seed_for("distance", side))[:num]))


def _measure(spec: FitSpec, taught: SourceNetwork, source: OnDevice, target: OnDevice) -> Distance:
    ours, theirs = _samples(source.test, target.train)
    with torch.no_grad(), in_eval_mode(taught.network.module):
        rows = [features_of(taught.network, one, spec.pipeline) for one in (ours, theirs)]
        answers = [classifier_of(taught.network)(one).argmax(1) for one in rows]
    places = _places(source.classes, target.classes)
    num_classes = len(source.classes) if places is not None else len(source.classes) + len(target.classes)
    names = theirs.labels + len(source.classes) if places is None else places.to(theirs.device)[theirs.labels]
    both = torch.cat([ours.labels, names])
    folds = _folds(both) if int(both.bincount().max()) > 1 else None  # none: each class has one image
    wrong = held_out_errors(torch.cat(rows), both, num_classes, folds, PENALTY) if folds is not None else None
    mmd, mmd_error = squared_mmd(*rows)
    return Distance(
        num=len(ours),
        folds=FOLDS,
        joint_folds=int(folds.max()) + 1 if folds is not None else 0,
        features=_told_apart(*rows),
        mmd=mmd,
        mmd_error=mmd_error,
        source_error=_share(answers[0] != ours.labels),
        joint_source=_share(wrong[: len(ours)]) if wrong is not None else None,
        joint_target=_share(wrong[len(ours) :]) if wrong is not None else None,
        same_classes=places is not None,
        target_error=_share(answers[1] != names) if places is not None else None,
    )


def _places(source: tuple[str, ...], target: tuple[str, ...]) -> Tensor | None:
    """Of each class of the target among the source's. None: they are not the same classes."""
    if not source or sorted(source) != sorted(target):
        return None
    return torch.tensor([source.index(name) for name in target])


def _pixels(images: Examples, spec: FitSpec) -> Tensor:
    """What the network takes, as rows of numbers; of pictures, thumbnails, and of texts how often each token stands in
    them."""
    rows = []
    for index in torch.split(torch.arange(len(images)), BATCH):
        values = images.take(index).inputs(spec.pipeline)
        if values.ndim == 4 and max(values.shape[2:]) > SIDE:
            values = torch.nn.functional.adaptive_avg_pool2d(values, SIDE)
        rows.append(values.flatten(1) if values.is_floating_point() else _counts(values))
    return torch.cat(rows)


def _counts(tokens: Tensor) -> Tensor:
    """int [B, L], 0 being padding -> [B, COUNTED]"""
    found = torch.zeros(len(tokens), COUNTED, device=tokens.device)
    return found.scatter_add_(1, tokens % COUNTED, (tokens > 0).float())


def _told_apart(ours: Tensor, theirs: Tensor) -> float:
    """The share of held-out rows whose side is told wrong."""
    side = torch.arange(2, device=ours.device).repeat_interleave(len(ours))
    return _share(held_out_errors(torch.cat([ours, theirs]), side, 2, _folds(side), PENALTY))


def _folds(labels: Tensor) -> Tensor:
    folds = split_folds(labels.cpu().numpy(), FOLDS, seed_for("distance", "folds") % 2**32)
    return torch.from_numpy(folds.fold).to(labels.device)


def _share(wrong: Tensor) -> float:
    return float(wrong.double().mean())
