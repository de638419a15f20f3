"""What may stand under `transferability`: the layer-transfer study of Yosinski et al. 2014, said in one section.

`study.py` spells it out into datasets, backbones and strategies; `planning/` keeps those cells that the study has.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bench.suite.numbers import Count, Name, Whole
from bench.suite.section import SuiteSection

Treatment = Literal["BnB", "BnB+", "AnB", "AnB+", "random"]
TREATMENTS: tuple[Treatment, ...] = ("BnB", "BnB+", "AnB", "AnB+", "random")
BEST = 10  # so many test scores along a training does the paper's reading average


class TransferabilitySpec(SuiteSection):
    dataset: Name
    """The data set that is divided by its classes: one half is pretrained on, the other one is the target."""
    options: dict[str, Any] = {}
    """The dataset's own options."""
    backbone: dict[str, Any]
    """The network, as an entry of `backbones`, with a `pretrain` section that names no dataset."""
    labels_per_class: Count | Literal["full"] = "full"
    """Label budget of every training on the target."""
    splits: tuple[Whole, ...] = (0,)
    """Pairs of random halves, by their numbers."""
    groups: Annotated[tuple[Name, ...], Field(max_length=2)] = ()
    """A pair of groups that the set declares, such as `[man_made, natural]`: the dissimilar halves."""
    directions: Literal["both", "A_to_B", "B_to_A"] = "both"
    """Which half of each pair is pretrained on, and which is the target. Of groups, A is the first."""
    keep: Literal["all"] | Annotated[tuple[Count, ...], Field(min_length=1)] = "all"
    """Numbers of units that are taken over; `all` is 1 .. N-1 of N units, the head among them never."""
    treatments: Annotated[tuple[Treatment, ...], Field(min_length=1)] = TREATMENTS
    """`AnB`: units of a network that learned the other half stay frozen, all above start afresh; `BnB`: units of one
    that learned the target's own half; `+`: the kept units are tuned too; `random`: frozen units that never learned.
    The base, which is trained from random weights, belongs to every study."""
    reading: Literal["last", "yosinski"] = "last"
    """`yosinski`: show the paper's own reading too, for comparison: the mean of the ten best test scores along each
    training, which is selection on the test set. It takes ten or more of them (`training.evaluations`). No other number
    reads it."""

    @model_validator(mode="after")
    def _pairs(self) -> "TransferabilitySpec":
        if len(self.groups) == 1 or len(set(self.groups)) < len(self.groups):
            raise ValueError("groups: two different ones make a pair")
        if not self.splits and not self.groups:
            raise ValueError("give splits, groups or both: there is no pair to transfer between")
        return self
