"""What may stand in a file of published values: one paper or repository, its tables, and what each value is of.

A table is written as it is printed: columns, rows, a number where they cross. What a value is of may be said by the
table, by the column or by the row, each thing in one of them. `references.py` reads such a file.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from bench.spec.refs import LabelBudget, Metric
from bench.suite.claims_schema import Names
from bench.suite.numbers import Count, Name, Share
from bench.suite.section import SuiteSection

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Sentences = Annotated[tuple[Name, ...], Field(max_length=8)]


class ProtocolSpec(SuiteSection):
    pretraining: Name | None = None
    """What the network learned before, in words; `none`: it starts at random weights."""
    weights: Names = ()
    """The published weights that are the very same, by the names that a suite gives them (`resnet50.tv_in1k`); `*`
    stands for any letters. Unset: nobody knows of any."""
    steps: Count | None = None
    """Optimizer steps of the training. Here and below, unset: the source does not say, or nobody has looked."""
    batch_size: Count | None = None
    """Examples per step."""
    image_size: Count | None = None
    """Side in pixels of what the network sees."""
    settings: Count | None = None
    """Settings (rates, penalties) that were tried for this value; 1: nothing was searched."""
    reads: Literal["last", "best_on_test", "ten_best_on_test"] | None = None
    """Which test score the value is: that of the last weights; the best along the training; the mean of its ten best
    along the training."""
    average: Literal["mean", "median"] | None = None
    """What several trainings are summed up by."""
    repeats: Count | None = None
    """Trainings behind the value."""
    metric: Metric | None = None
    """What a score is, as under `datasets`."""
    notes: Sentences = ()
    """What else one must know to compare, a sentence each."""


class PartSpec(SuiteSection):
    dataset: Names = ()
    """The data set: its name as suites write it, or the label that a table shows; `*` stands for any letters."""
    labels_per_class: Count | Literal["full"] | None = None
    """How many labels, as under `datasets`."""
    fraction: Share | None = None
    """The same, as a share of each class's training examples."""
    total: Count | None = None
    """The same, as a total over the classes."""
    backbone: Names = ()
    """The network and its weights, likewise: `resnet50.*_in1k`."""
    strategy: Names = ()
    """The strategy, as tables show it: `full_finetune`, `delta*`."""
    pair: Name | None = None
    """In a study of transferability, instead of a strategy: `split*` for random halves, `*and*` for groups."""
    treatment: Name | None = None
    """In a study: `base`, `BnB`, `BnB+`, `AnB`, `AnB+`, `random`."""
    keep: Count | None = None
    """In a study: how many units are kept. The base keeps none."""
    protocol: ProtocolSpec = ProtocolSpec()
    """How the value was measured. What a column says goes before what its table says, and a row before both; notes add
    up."""

    @property
    def budget(self) -> str:
        """As tables show it; empty where nothing is said."""
        if self.labels_per_class == "full":
            return LabelBudget("full").text
        for kind in ("labels_per_class", "fraction", "total"):
            if (amount := getattr(self, kind)) is not None:
                return LabelBudget(kind, amount).text
        return ""

    @property
    def said(self) -> dict[str, Any]:
        """What this part says of its values, by what it is about; the protocol left out."""
        told = {"dataset": self.dataset, "labels": self.budget, "backbone": self.backbone, "strategy": self.strategy,
                "pair": self.pair, "treatment": self.treatment, "keep": self.keep}  # fmt: skip
        return {name: one for name, one in told.items() if one}


class RowSpec(PartSpec):
    called: Annotated[str, Field(max_length=100)] = ""
    """What the source calls the row."""
    values: Annotated[tuple[Percent, ...], Field(min_length=1)]
    """Percent, one for each column."""


class TableSpec(PartSpec):
    table: Name
    """Its number or heading in the source."""
    checked: Literal["source", "text", "logs"]
    """How the values were verified: read in the source's own repository, read in the text of the paper, or computed
    anew from its logs. What somebody remembers is not entered."""
    columns: tuple[PartSpec, ...] = ()
    """What the values of each column have in common. Unset: one column."""
    rows: Annotated[tuple[RowSpec, ...], Field(min_length=1)]
    """The rows."""


class ReferencesSpec(SuiteSection):
    source: Name
    """Who published: authors and year, or a repository."""
    address: Name
    """Where: a page, a repository with its commit, an identifier."""
    tables: Annotated[tuple[TableSpec, ...], Field(min_length=1)]
    """The tables."""
