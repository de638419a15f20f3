"""Train everything on a related data set first, then fine-tune on the target.

Paper: Phang et al., "Sentence encoders on STILTs", 2018; in vision e.g. Azizi et al. 2021 and Reed et al. 2022.
People get wrong: that the data in between are labels too. They are beyond the label budget, so compare with the
others knowing it; where they are the target's own data, the strategy is not applicable. Nothing is searched in that
stage, which is one pretraining for all tasks and repeats.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.strategies.recipe import Recipe, StrategyEntry, Via, uniform


class IntermediateOptions(Options):
    dataset: str
    """The data set in between, named as under `datasets`."""
    dataset_options: dict[str, Any] = {}
    """Its own options."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over its training split."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Images per step there."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """The optimizer there; AdamW wants a rate and a weight decay of its own."""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.05
    """The rate there at its highest."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5e-4
    """Weight decay there."""
    shift: Annotated[int, Field(ge=0)] = 2
    """Images there are moved by up to so many pixels, each on its own."""


def build(options: IntermediateOptions, num_units: int) -> Recipe:
    via = Via(
        options.dataset, options.dataset_options, options.epochs, options.batch_size,
        options.optimizer, options.lr, options.weight_decay, options.shift,
    )  # fmt: skip
    return Recipe(phases=uniform([1.0] * num_units), via=via)


STRATEGY = StrategyEntry(
    name="intermediate",
    summary="full fine-tuning, after training on a related data set",
    paper="Phang et al. 2018, arXiv:1811.01088",
    build=build,
    options=IntermediateOptions,
    needs=("a labelled data set other than the target's",),
)
