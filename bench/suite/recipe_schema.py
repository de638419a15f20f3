"""A recipe as it is written in a suite."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.suite.numbers import Below1, Count, Name, Positive, Rate, Share, Whole, whole
from bench.suite.section import SuiteSection


class StopSpec(SuiteSection):
    moments: Annotated[int, Field(ge=1, le=100), BeforeValidator(whole)]
    """How many moments there are to choose from, evenly spaced over the step budget; the last one is its end."""
    by: Literal["loss", "accuracy"] = "loss"
    """The moment of the lowest loss of the validation examples, or of their highest accuracy (then of lower loss)."""

    @property
    def text(self) -> str:
        return str(self.moments) if self.by == type(self).model_fields["by"].default else f"{self.moments} by {self.by}"


class PhaseSpec(SuiteSection):
    share: Share = 1.0
    """Share of the step budget; the shares of a recipe's phases add up to 1."""
    rates: dict[str, Rate]
    """Rate of each unit as a multiple of the searched rate, 0 = frozen. Keys: a unit's name or number (`-1` counts
    from the head), `head`, or `rest` for every unit not named."""


class RecipeScheduleSpec(SuiteSection):
    rise: Share
    """Share of each cycle in which the rate rises."""
    start: Below1 = 0.0
    """Where it starts, as a share of the highest rate."""
    end: Below1 = 0.0
    """Where it ends, likewise."""
    shape: Literal["linear", "cosine"] = "linear"
    """How it goes from one to the other."""
    cycles: Count = 1
    """How often, over the budget or over each phase."""


class AxisSpec(SuiteSection):
    name: Literal["depth"]
    """What is counted. `depth`: units frozen from the stem on, throughout training."""
    value: Annotated[int, Field(ge=0), BeforeValidator(whole)]
    """Its place there."""
    kind: Annotated[str, Field(max_length=300)] = ""
    """The name of its line in the figure, where the suite draws several."""


class RecipeSpec(SuiteSection):
    name: Name
    """The name shown in tables."""
    init: Literal["pretrained", "random", "moments"] = "pretrained"
    """Where the weights come from: the backbone's own, fresh ones, or noise with each pretrained tensor's mean and
    spread."""
    reinit: Whole | None = None
    """Units from this number on start fresh, as in Yosinski et al. 2014. The head always does."""
    phases: Annotated[tuple[PhaseSpec, ...], Field(min_length=1)]
    """What is trained, one phase after the other."""
    anneal: Literal["once", "each_phase"] = "once"
    """Whether the schedule runs once over the whole budget or starts anew in each phase."""
    rate_scale: Positive = 1.0
    """Shifts the searched range of rates; its width in decades stays the suite's."""
    tensors: Literal["all", "biases", "norms", "but_norms"] = "all"
    """Which tensors of a unit learn where it does; the head's always do."""
    statistics: Literal["with_units", "kept", "live"] = "with_units"
    """BatchNorm's running statistics: moved where the unit learns, nowhere, or everywhere."""
    schedule: RecipeScheduleSpec | None = None
    """A way of the rate of its own, instead of the suite's."""
    length: Positive = 1.0
    """Multiples of the suite's step budget. Another length is another cost: records and report tell it."""
    decays: bool = True
    """Whether weight decay acts."""
    average: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    """What is scored: this share of the weights at the end, the rest of those at the start of the last phase."""
    stop_early: StopSpec | None = None
    """See `stop_early` of a strategy."""
    axis: AxisSpec | None = None
    """Where it stands in the figure of frozen depth; unset: nowhere, whatever it freezes."""

    @model_validator(mode="after")
    def _adds_up(self) -> "RecipeSpec":
        total = sum(phase.share for phase in self.phases)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the phases' shares must add up to 1, got {total:g}")
        if not any(rate > 0 for phase in self.phases for rate in phase.rates.values()):
            raise ValueError("every rate of every phase is 0: a recipe that freezes everything trains nothing")
        return self
