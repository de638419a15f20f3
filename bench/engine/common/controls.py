"""A random network that stays frozen is a control: it says what features are worth that nobody learned. Some
architectures make theirs dead. Gains of residual branches and layer scales start at zero or nearly so, which is a good
start for learning and leaves a frozen branch silent; BatchNorm's statistics start as those of no images at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.engine.train.evaluate import estimate_statistics
from bench.engine.train.examples import Examples
from bench.network.units import NORMS, Network
from bench.spec.job import FitSpec

NEARLY_ZERO = 0.1  # the largest start of a layer scale in the literature (CaiT)
GAINS = ("gamma", "gain", "scale", "ls")  # in the last part of a parameter's name
BATCH = 64


@dataclass(frozen=True)
class Enlivened:
    """What was done to a random network that does not learn, for its record."""

    gains: int  # tensors that were zero or nearly zero and are 1 now
    statistics: int  # BatchNorms whose statistics are those of the training images now


def enliven(network: Network, spec: FitSpec, upto: int, images: Examples) -> Enlivened | None:
    """In place. `upto`: units below it hold pretrained weights. None: all that is random learns, so the network keeps
    the start that its architecture gives it."""
    random = _names(network, upto) - set(network.moving(spec.recipe.touched(len(spec.recipe.phases) - 1)))
    gains = [parameter for name, parameter in _gains(network, random) if _is_dead(parameter)]
    with torch.no_grad():
        for gain in gains:
            gain.fill_(1.0)
    modules = network.module.named_modules()
    norms = [
        module for name, module in modules
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and f"{name}.running_mean" in random
    ]  # fmt: skip
    estimate_statistics(network.module, _batches(spec, images), norms)
    return Enlivened(len(gains), len(norms)) if gains or norms else None


def _names(network: Network, upto: int) -> set[str]:
    """State-dict names of the body that are not pretrained."""
    return network.names_below(network.num_units - 1) - network.names_below(upto)


def _gains(network: Network, names: set[str]) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in network.module.named_parameters():
        path, _, own = name.rpartition(".")
        owner = network.module.get_submodule(path)
        is_gain = own == "weight" if isinstance(owner, NORMS) else any(word in own for word in GAINS)
        if name in names and is_gain:
            yield name, parameter


def _is_dead(gain: Tensor) -> bool:
    """The same small number throughout: neither drawn nor learned."""
    return bool((gain == gain.flatten()[0]).all()) and bool(gain.flatten()[0].abs() <= NEARLY_ZERO)


def _batches(spec: FitSpec, images: Examples) -> Iterator[Tensor]:
    """All of them once, in a mixed order: sets often lie class by class."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for part in torch.split(order, BATCH):
        yield images.take(part).inputs(spec.pipeline)
