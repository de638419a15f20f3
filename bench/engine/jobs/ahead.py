"""A look at what a plan will train, before it does: does the checkpoint fit, does the strategy, how long is a step?

Networks stand on the meta device where their values do not count. `execute/ahead.py` asks.
"""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from bench import modalities
from bench.engine.common.start import check_learns
from bench.engine.train.faults import pass_on
from bench.errors import BenchError, NotApplicable
from bench.network.build import adapted, build_network, load_pretrained, read_state
from bench.network.units import Network
from bench.network.weights import WeightsError
from bench.spec.job import FitSpec

SECONDS = 0.5  # of a network's timed steps
STEPS = 20  # at most
PASSES = 3.0  # a step costs as much as so many forward passes (planning/work.py)


@dataclass(frozen=True)
class Seen:
    """Of one cell; "" and None: nothing to say."""

    weights: str = ""  # why they do not fit
    strategy: str = ""  # why it does not


def look(spec: FitSpec, path: Path | None) -> Seen:
    """`path`: of the checkpoint. Whatever else goes wrong is for the training to say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the meta device each tensor that is filled is one
        return _looked(spec, path)


def _looked(spec: FitSpec, path: Path | None) -> Seen:
    recipe = spec.recipe
    try:
        network = _on_meta(spec)
        if path is not None and recipe.init != "random":
            state = read_state(spec.backbone, path)
            if state is not None:
                load_pretrained(network, state, network.num_units - 1 if recipe.reinit is None else recipe.reinit)
        if recipe.adapt is not None:
            network = adapted(network, recipe.adapt, (spec.backbone.units, 0))
        check_learns(network, recipe)
    except WeightsError as error:
        return Seen(weights=str(error))
    except NotApplicable as error:
        return Seen(strategy=str(error))
    except (BenchError, RuntimeError, NotImplementedError, ValueError) as error:
        pass_on(error)
        return Seen()
    return Seen()


def _on_meta(spec: FitSpec) -> Network:
    try:
        with torch.device("meta"):
            return build_network(spec.backbone, spec.data.num_classes, 0, spec.head)
    except (NotImplementedError, RuntimeError) as error:
        pass_on(error)  # some networks compute with their first weights
        return build_network(spec.backbone, spec.data.num_classes, 0, spec.head)


def seconds_of_a_pass(spec: FitSpec) -> float:
    """Of one example forward through the whole network in one worker: a third of its share in the quickest step."""
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module: nn.Module = build_network(spec.backbone, spec.data.num_classes, 0, spec.head).module.to(device)
    size = spec.training.batch_size
    blank = modalities.of(spec.pipeline).handling().blank(spec.pipeline, size, device)
    labels = torch.zeros(size, dtype=torch.int64, device=device)
    took: list[float] = []
    begin = time.perf_counter()
    while len(took) < 2 or (len(took) < STEPS and time.perf_counter() - begin < SECONDS):
        since = time.perf_counter()
        F.cross_entropy(module(blank), labels).backward()  # type: ignore[no-untyped-call]
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - since)
    return min(took) / size / PASSES
