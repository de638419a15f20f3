"""Train everything on a related data set first, or on several one after another, then fine-tune on the target.

Paper: Phang et al., "Sentence encoders on STILTs", 2018; in vision e.g. Azizi et al. 2021 and Reed et al. 2022.
People get wrong: that the data in between are labels too. They are beyond the label budget, so compare with the
others knowing it; where they are the target's own images, the suite is refused. Nothing is searched in a stage,
which is one pretraining for all tasks and repeats; strategies that begin with the same stages share them.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, Via, uniform
from bench.strategies.entry import StrategyEntry

DEFAULTS = {"sgd": (0.05, 5e-4), "adamw": (1e-3, 0.05)}  # rate and weight decay


class StageOptions(Options):
    dataset: str
    """The data set in between, named as under `datasets`."""
    dataset_options: dict[str, Any] = {}
    """Its own options."""
    epochs: Annotated[int, Field(ge=1)] = 10
    """Passes over its training split."""
    batch_size: Annotated[int, Field(ge=1)] = 128
    """Images per step there."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum of 0.9, or AdamW, which transformers want."""
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The rate there at its highest. Unset: 0.05 for SGD, 0.001 for AdamW."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Weight decay there. Unset: 5e-4 for SGD, 0.05 for AdamW."""
    shift: Annotated[int, Field(ge=0)] = 2
    """Images there are moved by up to so many pixels, each on its own."""
    allow_overlap: bool = False
    """Learn a target's own images there too, knowingly: the page says so."""

    def __repr__(self) -> str:
        """As the label of a strategy shows it."""
        own = {name: getattr(self, name) for name, field in StageOptions.model_fields.items()
               if name != "dataset" and getattr(self, name) != field.default}  # fmt: skip
        return self.dataset + (f"({', '.join(f'{name}={value}' for name, value in own.items())})" if own else "")


class IntermediateOptions(StageOptions):
    then: list[StageOptions] = []
    """The stages after the first one, each with the options above; the weights go from one to the next."""


def build(options: IntermediateOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), via=tuple(map(_stage, (options, *options.then))))


def _stage(options: StageOptions) -> Via:
    lr, weight_decay = DEFAULTS[options.optimizer]
    return Via(
        dataset=options.dataset,
        options=options.dataset_options,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        lr=options.lr if options.lr is not None else lr,
        weight_decay=options.weight_decay if options.weight_decay is not None else weight_decay,
        shift=options.shift,
        allow_overlap=options.allow_overlap,
    )


STRATEGY = StrategyEntry(
    name="intermediate",
    summary="full fine-tuning, after training on a related data set, or on several in turn",
    paper="Phang et al. 2018, arXiv:1811.01088",
    build=build,
    options=IntermediateOptions,
    needs=("a labelled data set other than the target's",),
)
