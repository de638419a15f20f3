"""What repeats have in common: they are draws from one pool, so they are not independent of each other."""

import math

from bench.analysis.cells import Row, records
from bench.analysis.words import labels
from bench.report.facts import Facts
from bench.report.view import ABSENT, Column, Table, TableCell, percent

CAPTION = "How much any two repeats share on average. Intervals on this page are for other draws from the same pool."
METHOD = (
    "Shares are expected ones, from the sizes of the classes. For labels from outside this pool, the part of an error "
    "that comes from repeats may be larger: its variance is at most s² (1/n + p/(1 − p)) instead of s²/n, with p the "
    "share of labels in common (after Nadeau and Bengio 2003). Where all labels are used nothing can be said of other "
    "labels; repeats there differ in order, and in what starts at random."
)


def sharing_table(facts: Facts) -> Table | None:
    """None where nothing is known."""
    tasks: dict[tuple[str, str], Row] = {}
    for row in records(facts.results.finals.drop_duplicates(["dataset", "budget"])):
        tasks.setdefault((row["dataset"], row["budget"]), row)
    n = int(facts.results.finals["repeat"].nunique())
    if n < 2 or all(math.isnan(row["label_overlap"]) for row in tasks.values()):
        return None
    columns = [Column("Dataset", numeric=False), Column("Labels", numeric=False), Column("Labels in common", "%")]
    columns += [Column(f"Test {facts.example}s in common", "%"), Column("Error for new labels", "at most times")]
    rows = [
        [facts.dataset_cell(dataset), TableCell(labels(budget)), _share(row["label_overlap"]),
         _share(row["test_overlap"]), _factor(row["label_overlap"], n)]
        for (dataset, budget), row in tasks.items()
    ]  # fmt: skip
    counted = " Of listed examples they are counted." if facts.results.lists else ""
    return Table("sharing", columns, rows, CAPTION, title="What repeats have in common", folded=True,
                 method=METHOD + counted)  # fmt: skip


def _share(share: float) -> TableCell:
    return TableCell(percent(share, 0), value=100 * share)


def _factor(share: float, n: int) -> TableCell:
    """Of a standard error over n repeats, were the claim about labels from outside the pool."""
    if not share < 1:
        return TableCell("undefined" if share == 1 else ABSENT, value="", css="quiet")
    factor = math.sqrt(1 + n * share / (1 - share))
    return TableCell(f"{factor:.2f}", value=factor)
