"""What may stand under `search`: how each cell's learning rate is chosen."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.suite.numbers import Count, Positive, whole
from bench.suite.section import SuiteSection


class Range(SuiteSection):
    """A range on a logarithmic axis, written `[low, high]` in a suite."""

    low: Positive
    """The lower end."""
    high: Positive
    """The upper end."""

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            if len(value) != 2:
                raise ValueError(f"expected two numbers, [low, high], got a list of {len(value)}")
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got [{self.low:g}, {self.high:g}]")
        return self


class FoldsSpec(SuiteSection):
    folds: Annotated[int, Field(ge=2, le=20), BeforeValidator(whole)]
    """Stratified folds over the labels, all scored out of fold."""


class SearchSpec(SuiteSection):
    trials: Count = 8
    """Trainings per search, the same number for every strategy."""
    budget: Literal["trials", "steps"] = "trials"
    """What is the same for every strategy: the number of trials, or the steps that they take together. `steps`: each
    gets as many trials as come nearest to the steps of `trials` ones of a strategy of one phase."""
    sampler: Literal["bracket", "grid", "tpe", "random"] = "bracket"
    """`bracket`: three rates a decade apart; the next ones extend a decade past an end while the best lies there, then
    halve the steps around the best. `grid`: evenly over a range of rates, on a logarithmic axis. `tpe`: half of the
    trials on that grid, then Optuna's proposals. `random`: drawn from the range."""
    pruner: Literal["halving", "none"] = "none"
    """`none`: every trial trains to its end. `halving`: trials train side by side and are compared after `first_rung`
    of the steps and again after three times as many; each time the best third goes on (rounded up, two at the least),
    and the others keep their last score. The same for every strategy. A `bracket` cannot be halved, because it places
    its points by final scores."""
    first_rung: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 2 / 9
    """Share of the step budget after which trials are compared for the first time, where the pruner is `halving`. Of a
    recipe of several phases: of what follows the first one."""
    lr: Range | None = None
    """`grid`, `tpe`, `random`: the range of rates, as wide for every strategy. Unset: [0.001, 1] for SGD, [1e-5, 0.01]
    for AdamW. `bracket`: where the first rates lie, at the ends and in the middle; the search may go on past it. Unset:
    a decade to each side of a centre that fits optimizer, modality and what trains (`bench/planning/rates.py`)."""
    weight_decay: Range | None = None
    """Search the weight decay too. Unset: training.weight_decay is used."""
    validation: Literal["auto", "holdout"] | FoldsSpec = "auto"
    """What a trial is scored on. `auto`: the hold-out, or 3 folds where it would be under 100 examples."""
    holdout: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.2
    """Share of the labels held out for validation; they are part of the label budget."""
    scope: Literal["cell", "repeat"] = "repeat"
    """`cell`: one search on the labels of repeat 0 serves every repeat. `repeat`: each searches on its own labels."""
    finals: Literal["chosen", "all"] = "chosen"
    """`all`: the points that were not chosen are trained on all labels and scored on the test split too, once each. No
    score of a strategy reads them; they tell what choosing by validation cost."""

    @model_validator(mode="after")
    def _a_bracket_is_not_halved(self) -> "SearchSpec":
        if self.sampler == "bracket" and self.pruner == "halving":
            raise ValueError("a bracket cannot be halved, because it places its points by final scores: "
                             "choose `sampler: grid`, `tpe` or `random`")
        return self
