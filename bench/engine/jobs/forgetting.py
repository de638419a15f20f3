"""What a training forgot: how well images of the pretraining are classified before it and after it, by the original
head and by a head fitted anew. Asked only where the backbone was pretrained inside the suite, so that they are here.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.sampling import split_holdout
from bench.engine.common.context import Context
from bench.engine.common.sources import features_of, source_of
from bench.engine.common.start import Start, root_of
from bench.engine.train.examples import Examples
from bench.engine.train.faults import pass_on
from bench.engine.train.solo import Trained
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.network.capture import classifier_of, in_eval_mode
from bench.network.units import Network
from bench.solve.closed_forms import ridge_path
from bench.spec.job import FitSpec
from bench.spec.refs import Pipeline
from bench.store.results import Known, SourceScores

SEEN = 512  # source images of each kind (more where there are more classes), the same before and after
PENALTY = 0.01  # of the classifier that is fitted anew


@dataclass(frozen=True)
class Exam:
    """Images of the source task, the same before and after."""

    fitted: Examples  # a head is fitted anew on these
    test: Examples
    num_classes: int
    pipeline: Pipeline

    def take(self, network: Network, head: nn.Module) -> Known:
        with torch.no_grad(), in_eval_mode(network.module):
            features = features_of(network, self.test, self.pipeline)
            answers = head(features)
            rows = features_of(network, self.fitted, self.pipeline)
        (anew,) = ridge_path(rows, self.fitted.labels, self.num_classes, [PENALTY])
        return Known(original=_share(answers, self.test), refitted=_share(anew.logits(features), self.test))


def forgetting(spec: FitSpec, begin: Start, trained: Trained, context: Context) -> SourceScores | None:
    """Asked of the first member of a stream. None where nothing can be said."""
    if spec.recipe.init != "pretrained" or spec.recipe.reinit is not None:
        return None
    if root_of(spec.backbone, context).weights.origin != "pretrain":
        return None
    try:
        return _forgetting(spec, begin, trained, context)
    except NotApplicable:
        return None
    except Exception as error:  # a failed diagnosis must not cost the score
        pass_on(error)
        why = f"{type(error).__name__}: {error}"
        context.notice(f"{spec.backbone.name}: what it forgot could not be measured: {why}")
        return SourceScores(before=Known(), after=Known(), num=0, error=why)


def _forgetting(spec: FitSpec, begin: Start, trained: Trained, context: Context) -> SourceScores:
    source = source_of(spec, context)
    if source.train is None or source.test is None:
        raise NotApplicable("the source's images are not here")
    exam = Exam(_some(source.train), _some(source.test), source.num_classes, spec.pipeline)
    head = classifier_of(source.network)
    if "known" not in source.memo:
        source.memo["known"] = exam.take(source.network, head)
    before = after = source.memo["known"]
    if _body_moves(spec, begin.network) or root_of(spec.backbone, context) != spec.backbone:
        with trained.team.hold(trained.stream):
            own = trained.team.source_head or head  # learning without forgetting and its like train the old head along
            after = exam.take(begin.network, own)
    return SourceScores(before=before, after=after, num=len(exam.test))


def _body_moves(spec: FitSpec, network: Network) -> bool:
    head = {*network.parameters[-1], *network.buffers[-1]}
    return bool(set(network.moving(spec.recipe.touched(len(spec.recipe.phases) - 1))) - head)


def _share(logits: Tensor, images: Examples) -> float:
    return float((logits.argmax(1) == images.labels).double().mean())


def _some(images: Examples) -> Examples:
    """The same ones every time, every class with its share."""
    if len(images) <= SEEN:
        return images
    parts = split_holdout(images.known_labels, SEEN / len(images), seed_for("forgetting") % 2**32)
    return images.take(np.sort(parts.validation))
