"""What a training forgot: how well images of the pretraining are told apart before it and after it, by the original
head and by a head fitted anew. Asked only where the backbone was pretrained inside the suite, so that they are here.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.backbones.units import Network
from bench.datasets.sampling import split_holdout
from bench.engine.closed_forms import ridge_path
from bench.engine.context import Context
from bench.engine.evaluate import BATCH, in_eval_mode
from bench.engine.fit import Start
from bench.engine.images import Images, prepare
from bench.engine.origins import source_of
from bench.engine.setting import Source, classifier_of, watched
from bench.engine.team import Team
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.plan.spec import FitSpec, Pipeline

SEEN = 512  # source images of each kind: what is compared is the same images before and after
PENALTY = 0.01  # of the classifier that is fitted anew


@dataclass(frozen=True)
class Told:
    """Shares of the source's test images."""

    original: float  # by the head that the backbone was pretrained with
    refitted: float  # by ridge regression on other source images


def forgetting(spec: FitSpec, begin: Start, team: tuple[Team, int], context: Context) -> dict[str, Any] | None:
    """None where nothing can be said. `team`: and the stream whose first member is asked about."""
    if spec.recipe.init != "pretrained" or spec.recipe.reinit is not None:
        return None
    if spec.backbone.weights.origin != "pretrain":
        return None
    try:
        source = source_of(spec, context)
        before = source.memo.get("told") or _told(source.network, source, spec.pipeline)
    except NotApplicable:
        return None
    source.memo["told"] = before
    after = before
    if _body_moves(spec, begin.network):
        who, stream = team
        with who.hold(stream):
            after = _told(begin.network, source, spec.pipeline)
    return {"before": asdict(before), "after": asdict(after), "num": min(SEEN, len(source.test or ()))}


def _body_moves(spec: FitSpec, network: Network) -> bool:
    head = {*network.parameters[-1], *network.buffers[-1]}
    return bool(set(network.moving(spec.recipe.touched(len(spec.recipe.phases) - 1))) - head)


def _told(network: Network, source: Source, pipeline: Pipeline) -> Told:
    if source.train is None or source.test is None:
        raise NotApplicable("the source's images are not here")
    fitted, test = _some(source.train), _some(source.test)
    head = classifier_of(source.network)
    with torch.no_grad(), in_eval_mode(network.module):
        features = _features(network, test, pipeline)
        said = features @ head.weight.T + head.bias
        rows = _features(network, fitted, pipeline)
    (anew,) = ridge_path(rows, fitted.labels, source.num_classes, [PENALTY])
    return Told(_share(said, test), _share(anew.logits(features), test))


def _share(logits: Tensor, images: Images) -> float:
    return float((logits.argmax(1) == images.labels).double().mean())


def _features(network: Network, images: Images, pipeline: Pipeline) -> Tensor:
    found = []
    for start in range(0, len(images), BATCH):
        index = torch.arange(start, min(start + BATCH, len(images)), device=images.device)
        with watched(network) as seen:
            network.module(prepare(images.take(index).pixels, pipeline))
        found.append(seen.features[0])
    return torch.cat(found)


def _some(images: Images) -> Images:
    """The same ones every time, every class with its share."""
    if len(images) <= SEEN:
        return images
    parts = split_holdout(images.labels.cpu().numpy(), SEEN / len(images), seed_for("forgetting") % 2**32)
    return images.take(np.sort(parts.validation))
