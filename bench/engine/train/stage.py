"""What is trained in one phase of a recipe, and where its inputs come from. The plain way: the whole network, from
pixels. `reuse/stages.py` finds the cheaper ways."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from bench import modalities
from bench.engine.train.inputs import Direct, Supply
from bench.network.units import Network
from bench.spec.job import Procedure


@dataclass(frozen=True)
class Stage:
    live: nn.Module  # inputs -> logits
    feed: Supply  # inputs of training images, with their random changes
    plain: Supply  # inputs of images as they are
    frozen: Literal["none", "kept", "recomputed"] = "none"  # what became of a part that cannot change
    whole: str = ""  # why there is no such part although units are frozen


Stages = Callable[[int], Stage]  # number of a phase -> what is trained in it


def plain_stages(network: Network, procedure: Procedure) -> Stages:
    """The whole network from pixels, in every phase. Every other way must come to the same result."""
    how = modalities.of(procedure.pipeline).handling().variation(procedure.training)
    stage = Stage(network.module, Direct(procedure.pipeline, how), Direct(procedure.pipeline))
    return lambda phase: stage

