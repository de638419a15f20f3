"""How much training changed what each unit of a network puts out: before against after, on the same test images; and
how these lie on two axes, in `projection.py`.

Linear CKA (Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019) from the unbiased
estimate of HSIC (Song et al., "Feature Selection via Dependence Maximization", JMLR 2012), because the plain one calls
unrelated features alike where there are fewer images than channels. 1: the same but for a rotation, a shift and a
scale. Near 0: nothing in common; the estimate may fall a little below.
"""

from typing import Any

import torch
from torch import Tensor

from bench.engine.common.context import Context
from bench.engine.common.start import Start
from bench.engine.jobs.projection import projection
from bench.engine.train.evaluate import BATCH
from bench.engine.train.examples import Examples
from bench.engine.train.faults import pass_on
from bench.engine.train.solo import Trained
from bench.network.capture import in_eval_mode, put, watched
from bench.network.units import Network
from bench.spec.job import FitSpec
from bench.spec.refs import Pipeline

MOST = 1000  # test images
FEWEST = 4  # that the unbiased estimate is of
SILENT = 1e-9  # of a feature's size: a spread below it is rounding


def similarity(spec: FitSpec, begin: Start, trained: Trained, context: Context) -> dict[str, Any]:
    """Fields of a final's record: a number for each unit, stem first, without the head, or None where it could not be
    measured; and in the first repeat how the images lie before and after."""
    try:
        images = some(context.data(spec.data, spec.pipeline).test)
        if len(images) < FEWEST:
            return {"similarity": None}
        with trained.team.hold(trained.stream):
            after = _outputs(begin.network, images, spec.pipeline)
            before = _outputs_at(begin, images, spec.pipeline)
        alike = [unbiased_cka(before[unit], after[unit]) if unit in before and unit in after else None
                 for unit in range(begin.network.num_units - 1)]  # fmt: skip
        last = max(before.keys() & after.keys(), default=None)
        if spec.repeat or last is None:
            return {"similarity": alike}
        return {"similarity": alike, "projection": projection(images.labels, before[last], after[last])}
    except Exception as error:  # a failed diagnosis must not cost the score
        pass_on(error)
        why = f"{type(error).__name__}: {error}"
        context.notice(f"{spec.backbone.name}: how much its units changed could not be measured: {why}")
        return {"similarity": None}


def unbiased_cka(one: Tensor, other: Tensor) -> float | None:
    """Of two sets of features of the same examples [n, C] and [n, D]. None where one of them is the same for all."""
    first, second = _gram(one), _gram(other)
    if first is None or second is None:
        return None
    own = float(_hsic(first, first)) * float(_hsic(second, second))
    return float(_hsic(first, second)) / own**0.5 if own > 0 else None


def some(images: Examples) -> Examples:
    """The same ones every time, spread over the whole split: sets often lie class by class."""
    if len(images) <= MOST:
        return images
    return images.take(torch.arange(MOST) * len(images) // MOST)


def _gram(features: Tensor) -> Tensor | None:
    """Inner products of features around their mean, without those of an example with itself. Their scale goes, which
    CKA does not see, so that no square of a square leaves the range of numbers."""
    rows = features.double()
    centred = rows - rows.mean(0)
    size = float(centred.norm())
    if not size > SILENT * float(rows.norm()):
        return None
    return (centred / size @ (centred / size).T).fill_diagonal_(0)


def _hsic(first: Tensor, second: Tensor) -> Tensor:
    """Song et al., equation 5, but for a factor that depends on the number of examples alone."""
    n = len(first)
    sums, others = first.sum(0), second.sum(0)
    return (first * second).sum() + sums.sum() * others.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (sums @ others)


def _outputs_at(begin: Start, images: Examples, pipeline: Pipeline) -> dict[int, Tensor]:
    """Of the weights that the training began with. The network keeps those that it has."""
    module = begin.network.module
    held = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        put(begin.state, module)
        return _outputs(begin.network, images, pipeline)
    finally:
        put(held, module)


def _outputs(network: Network, images: Examples, pipeline: Pipeline) -> dict[int, Tensor]:
    """By unit [n, C]: what it puts out in evaluation, a mean over places."""
    found: dict[int, list[Tensor]] = {}
    with torch.no_grad(), in_eval_mode(network.module):
        for start in range(0, len(images), BATCH):
            index = torch.arange(start, min(start + BATCH, len(images)))
            with watched(network, features=False, units=True) as seen:
                network.module(images.take(index).inputs(pipeline))
            for unit, rows in seen.pooled().items():
                found.setdefault(unit, []).append(rows)
    return {unit: torch.cat(rows) for unit, rows in found.items()}
