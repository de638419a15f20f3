"""What may stand under `claims`: a sentence that people repeat, and the contrast of cells that decides it here.

`known_claims.py` has those that a suite can name; `planning/claims.py` finds their cells, `analysis/claims.py` decides.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from bench.errors import unknown
from bench.suite.known_claims import KNOWN
from bench.suite.numbers import Count, Name
from bench.suite.section import SuiteSection


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


Names = Annotated[tuple[Name, ...], BeforeValidator(_listed, json_schema_input_type=Name | tuple[Name, ...])]
Points = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Bound = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
Depth = Literal["first", "middle", "deepest"] | Count
Depths = Annotated[tuple[Depth, ...], BeforeValidator(_listed, json_schema_input_type=Depth | tuple[Depth, ...])]
REGIONS = ("above", "within", "between")


class CellsSpec(SuiteSection):
    dataset: Names = ()
    """Labels of data sets, as tables show them; `*` stands for any letters. Unset, here and below: all."""
    labels: Literal["fewest", "most", "full"] | Count | None = None
    """Label budgets: so many labels per class, or the smallest or largest budget of each data set. A set with one
    budget has no largest one."""
    times: Count = 1
    """So many times the labels that `labels` says: `{labels: fewest, times: 10}`."""
    backbone: Names = ()
    """Labels of backbones. Unset: all whose weights the suite does not ask to be random."""
    strategy: Names = ()
    """Labels of strategies."""
    pitfall: Names = ()
    """Cells that make this mistake, by its name under `pitfalls`. Unset: those that make none."""
    pair: Names = ()
    """In a study of transferability: `split*` for its random halves, `*and*` for its groups."""
    treatment: Names = ()
    """In a study: `base`, `BnB`, `BnB+`, `AnB`, `AnB+`, `random`."""
    keep: Depths = ()
    """In a study: how many units are kept; `first` is one, `middle` all between it and the deepest."""

    @model_validator(mode="after")
    def _times_what(self) -> "CellsSpec":
        if self.times > 1 and not (self.labels == "fewest" or isinstance(self.labels, int)):
            raise ValueError("times: give `labels` as a number or `fewest` to multiply")
        return self


class DifferenceSpec(SuiteSection):
    more: CellsSpec
    """Cells whose mean is counted."""
    less: CellsSpec
    """Cells whose mean is taken from it."""


class ClaimSpec(SuiteSection):
    name: Name | None = None
    """A claim that is known (table below); what stands beside it here replaces its own."""
    claim: Annotated[str, Field(min_length=1, max_length=300)]
    """The claim in a sentence, as people state it."""
    source: Annotated[str, Field(max_length=200)] = ""
    """Who states it."""
    value: Literal["score", "source", "compute", "compute_with_search"] = "score"
    """What is compared: test scores; the share of the source's examples that the pretrained network's own head still
    tells right afterwards; or, of `more` alone, the arithmetic of one training, or of its search too, as a share of its
    pretraining's."""
    where: CellsSpec = CellsSpec()
    """Which cells are looked at, on all sides."""
    more: CellsSpec
    """Cells that the claim puts higher. Their mean is what counts."""
    less: CellsSpec | None = None
    """Cells that it puts lower. Sides are compared within what all of them have, as finely as they have anything in
    common (data set, backbone, budget, strategy), and then averaged; what only some of them have is left out."""
    beyond: DifferenceSpec | None = None
    """Another difference, which is taken from the first: what the claim says grows from there to here."""
    above: Points | None = None
    """The claim says: by more than so many points. Below 0: not lower by more than so many."""
    within: Bound | None = None
    """The claim says: equal within so many points."""
    between: tuple[Points, Points] | None = None
    """The claim says: between these two, in points or percent."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        """A known claim, spelled out."""
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            return value
        if value["name"] not in KNOWN:
            if "claim" in value:  # its own, which somebody named
                return value
            raise ValueError(unknown("claim", value["name"], KNOWN, "suites/README.md"))
        given = {key: one for key, one in value.items() if one is not None}
        replaced = {*given, *(REGIONS if any(key in given for key in REGIONS) else ())}
        return {**{key: one for key, one in KNOWN[value["name"]].items() if key not in replaced}, **given}

    @model_validator(mode="after")
    def _decidable(self) -> "ClaimSpec":
        if sum(one is not None for one in (self.above, self.within, self.between)) != 1:
            raise ValueError("give one of above, within and between: what the claim says of the difference")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise ValueError("between: the first number must be below the second")
        if self.beyond is not None and self.less is None:
            raise ValueError("beyond: it is taken from a difference; give `less` too")
        if self.value.startswith("compute") and self.less is not None:
            raise ValueError(f"value {self.value} is a share of the pretraining's; it takes no `less`")
        if self.within is not None and self.less is None:
            raise ValueError("within: it says that two sides are equal; give `less` too, or `between`")
        return self

    @property
    def region(self) -> tuple[float, float]:
        """What the claim says, as shares: the ends that the truth lies between."""
        if self.above is not None:
            return self.above / 100, float("inf")
        if self.within is not None:
            return -self.within / 100, self.within / 100
        assert self.between is not None, "one of the three is given"
        return self.between[0] / 100, self.between[1] / 100
