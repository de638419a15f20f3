"""On what the numbers were made: backbones trained here, environments, and the suite as it was written."""

import json
from typing import Any

from bench.analysis.cells import Row, records
from bench.analysis.words import listed
from bench.report.facts import METRICS, Facts, name_cell, unique
from bench.report.view import (
    ABSENT,
    Block,
    Column,
    Section,
    Table,
    TableCell,
    Verbatim,
    Words,
    compact,
    duration,
    percent,
)


def pretraining_section(facts: Facts) -> Section | None:
    how = "Backbones that this suite trained itself before anything was transferred; their cost is paid once."
    rows = records(facts.results.pretrainings)
    if not rows:
        return None
    columns = [Column("Backbone", numeric=False), Column("Source", numeric=False), Column("Status", numeric=False)]
    columns += [
        Column("Source test score", "%"),
        Column("Epochs"),
        Column("FLOPs"),
        Column("Time"),
        Column("Weights", "SHA-256", numeric=False),
    ]
    lines = [
        [
            name_cell(row["backbone"]),
            name_cell(row["dataset"]),
            TableCell(row["status"]),
            _number(percent(row["score"]), 100 * row["score"]),
            _number(f"{row['epochs']:g}", row["epochs"]),
            _number(compact(row["flops"]), row["flops"]),
            _number(duration(row["seconds"]), row["seconds"]),
            TableCell(
                str(row["weights_sha256"])[:12] or ABSENT,
                value=row["weights_sha256"],
                css="mono",
                title=row["weights_sha256"],
            ),
        ]
        for row in rows
    ]
    spread = (
        "where a backbone has one for each repeat, intervals are over pretrainings too" if facts.renews_pretraining
        else "variation between pretrainings is in no number of this page"
    )
    caption = f"One training each (n = 1), so the score has no interval; {spread}."
    if any(row["objective"] == "masked" for row in rows):
        caption += (" Where the suite says `masked`, no label was learned: the score is the share of hidden tokens of "
                    "the source's test texts that the network filled in right.")
    return Section("pretraining", "Pretraining", how, [Table("pretraining", columns, lines, caption)])


def _number(text: str, value: float) -> TableCell:
    return TableCell(text, value=float(value)) if value == value else TableCell(ABSENT, value="")


def data_section(facts: Facts) -> Section:
    """Each data set once, with the modality that decides which backbones meet it."""
    how = "What the tasks are made of. Each data set meets the backbones that take what it holds, and no others."
    first: dict[str, Row] = {}
    backbones: dict[str, list[str]] = {}
    for row in records(facts.results.finals.drop_duplicates(["dataset", "backbone"])):
        first.setdefault(row["dataset"], row)
        backbones.setdefault(row["dataset"], []).append(row["backbone"])
    columns = [Column("Dataset", numeric=False), Column("Holds", numeric=False), Column("Classes")]
    columns += [Column("Training", "examples"), Column("Test", "examples"), Column("Score", numeric=False)]
    columns.append(Column("Backbones", numeric=False))
    rows = [
        [name_cell(name), TableCell(facts.kinds[name]), TableCell(str(row["num_classes"])), _count(row["num_train"]),
         _count(row["num_test"]), TableCell(METRICS.get(row["metric"], str(row["metric"]))),
         TableCell(listed(unique(backbones[name])))]
        for name, row in first.items()
    ]  # fmt: skip
    caption = "Training: all labelled examples that there are, of which a label budget takes a part."
    return Section("data", "Data", how, [Table("data", columns, rows, caption)])


def _count(num: float) -> TableCell:
    return _number(f"{num:,.0f}", num)


def provenance_section(facts: Facts) -> Section:
    how = "What the numbers were made with; a value that differs between environments is marked."
    blocks: list[Block] = []
    found = [flat(environment) for environment in facts.results.provenance]
    if found:
        names = list(dict.fromkeys(name for environment in found for name in environment))
        columns = [Column("What", numeric=False)]
        columns += [Column(f"Environment {i + 1}", numeric=False) for i in range(len(found))]
        rows = []
        for name in names:
            texts = [plain(environment.get(name, ABSENT)) for environment in found]
            css = "differs" if len(set(texts)) > 1 and name != "records" else ""
            rows.append([TableCell(str(name), css="head"), *(TableCell(text, css=css) for text in texts)])
        blocks.append(Table("environments", columns, rows, "Distinct environments that wrote records of this suite."))
    else:
        blocks.append(Words(["No record says what it was made with."]))
    if facts.results.suite_text:
        blocks += [Words(["The suite as it was written:"]), Verbatim(facts.results.suite_text)]
    return Section("provenance", "Provenance", how, blocks)


def flat(environment: dict[str, Any]) -> dict[str, Any]:
    """A line of its own for each library, so that a version that differs stands out."""
    return {
        inner if inner is not None else name: one
        for name, value in environment.items()
        for inner, one in (value.items() if isinstance(value, dict) else [(None, value)])
    }


def plain(value: Any) -> str:
    """Anything a record may hold, in a fixed order."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
