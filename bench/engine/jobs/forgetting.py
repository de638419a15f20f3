"""What a training forgot: how well images of the pretraining are told apart before it and after it, by the original
head and by a head fitted anew. Asked only where the backbone was pretrained inside the suite, so that they are here.
"""

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.sampling import split_holdout
from bench.engine.common.context import Context
from bench.engine.common.sources import root_of, source_of
from bench.engine.common.start import Start
from bench.engine.train.evaluate import BATCH
from bench.engine.train.examples import Examples
from bench.engine.train.solo import Team
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.network.capture import classifier_of, in_eval_mode, watched
from bench.network.units import Network
from bench.solve.closed_forms import ridge_path
from bench.spec.job import FitSpec
from bench.spec.refs import Pipeline
from bench.store.results import Known, SourceScores

SEEN = 512  # source images of each kind (more where there are more classes), the same before and after
PENALTY = 0.01  # of the classifier that is fitted anew


def forgetting(spec: FitSpec, begin: Start, team: tuple[Team, int], context: Context) -> SourceScores | None:
    """None where nothing can be said. `team`: and the stream whose first member is asked about."""
    if spec.recipe.init != "pretrained" or spec.recipe.reinit is not None:
        return None
    if root_of(spec.backbone, context).weights.origin != "pretrain":
        return None
    try:
        return _forgetting(spec, begin, team, context)
    except NotApplicable:
        return None
    except Exception as error:  # a diagnosis that fails is no reason to lose the score
        why = f"{type(error).__name__}: {error}"
        context.notice(f"{spec.backbone.name}: what it forgot could not be measured: {why}")
        return SourceScores(before=Known(), after=Known(), num=0, error=why)


def _forgetting(spec: FitSpec, begin: Start, team: tuple[Team, int], context: Context) -> SourceScores:
    source = source_of(spec, context)
    if source.train is None or source.test is None:
        raise NotApplicable("the source's images are not here")
    fitted, test = _some(source.train), _some(source.test)
    head = classifier_of(source.network)
    if "told" not in source.memo:
        source.memo["told"] = _told(source.network, head, (fitted, test, source.num_classes), spec.pipeline)
    before = after = source.memo["told"]
    if _body_moves(spec, begin.network) or root_of(spec.backbone, context) != spec.backbone:
        who, stream = team
        with who.hold(stream):
            own = who.source_head or head  # learning without forgetting and its like train the old head along
            after = _told(begin.network, own, (fitted, test, source.num_classes), spec.pipeline)
    return SourceScores(before=before, after=after, num=len(test))


def _body_moves(spec: FitSpec, network: Network) -> bool:
    head = {*network.parameters[-1], *network.buffers[-1]}
    return bool(set(network.moving(spec.recipe.touched(len(spec.recipe.phases) - 1))) - head)


def _told(network: Network, head: nn.Module, shown: tuple[Examples, Examples, int], pipeline: Pipeline) -> Known:
    """`shown`: images to fit a head on, images to be told, and of how many classes."""
    fitted, test, num_classes = shown
    with torch.no_grad(), in_eval_mode(network.module):
        features = _features(network, test, pipeline)
        said = head(features)
        rows = _features(network, fitted, pipeline)
    (anew,) = ridge_path(rows, fitted.labels, num_classes, [PENALTY])
    return Known(original=_share(said, test), refitted=_share(anew.logits(features), test))


def _share(logits: Tensor, images: Examples) -> float:
    return float((logits.argmax(1) == images.labels).double().mean())


def _features(network: Network, images: Examples, pipeline: Pipeline) -> Tensor:
    found = []
    for start in range(0, len(images), BATCH):
        index = torch.arange(start, min(start + BATCH, len(images)), device=images.device)
        with watched(network) as seen:
            network.module(images.take(index).inputs(pipeline))
        found.append(seen.features[0])
    return torch.cat(found)


def _some(images: Examples) -> Examples:
    """The same ones every time, every class with its share."""
    if len(images) <= SEEN:
        return images
    parts = split_holdout(images.labels.cpu().numpy(), SEEN / len(images), seed_for("forgetting") % 2**32)
    return images.take(np.sort(parts.validation))
