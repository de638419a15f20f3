"""What would mislead: selecting on the test set, and trainings that are not there."""

import math

from bench.analysis.cells import OUT_OF_SCOPE, Row, records
from bench.analysis.tables import inflation
from bench.analysis.words import labels, plural
from bench.report.facts import Facts, name_cell
from bench.report.sections.protocol import part
from bench.report.strip import Scale, strip
from bench.report.view import ABSENT, Block, Column, Section, Table, TableCell, Words, signed

LISTED = 200  # rows of the table of gaps


def selection_section(facts: Facts) -> Section | None:
    how = (
        "How much higher each score would look had the best moment of training been picked on the test set. Nothing "
        "on this page is picked so."
    )
    if part(facts.results.suite, "training").get("evaluations") == 1:
        return None  # the last score is the only one, so there was nothing to pick
    gains = inflation(facts.results.finals, facts.board.tasks)
    if not any(math.isfinite(gain.mean) for gain in gains.values()):
        return None
    scale = Scale.over([end for gain in gains.values() for end in (gain.low, gain.high, gain.mean)], around=0.0)
    rows = []
    for name in (name for name in facts.strategies if name in gains):
        gain = gains[name]
        bounds = (100 * gain.low, 100 * gain.high, gain.n)
        text = f"{signed(gain.mean, 2)}{f' ±{100 * gain.half:.2f}' if math.isfinite(gain.half) else ''}"
        picture = strip(scale, gain.mean, (gain.low, gain.high), f"c-{facts.strategies[name].color}", zero=0.0)
        cell = TableCell(text, value=100 * gain.mean, bounds=bounds)
        rows.append([name_cell(name, facts.strategies[name]), cell, TableCell("", value="", picture=picture)])
    columns = [Column("Strategy", numeric=False), Column("Inflation", "points", interval=True)]
    columns.append(Column("95 % interval", f"{signed(scale.low)} to {signed(scale.high)}", numeric=False))
    n = max(gain.n for gain in gains.values())
    caption = (
        "Best test score along the training minus the last one, mean over the leaderboard's "
        f"{plural(len(facts.board.tasks), 'task')}, with a 95 % interval over n = {n} repeats."
    )
    method = (
        "The interval is Student's t. The difference cannot be negative. Where strategies differ in it, picking on "
        "test would favour some over others."
    )
    return Section("selection", "Selection on test", how, [Table("selection", columns, rows, caption, method=method)])


def gaps_section(facts: Facts) -> Section:
    how = "Every planned training that gave no score, and why; a gap is never filled in."
    absent = [found for found in _absent(facts) if found[1]["status"] != OUT_OF_SCOPE]
    diverged = [found for found in absent if _is_search(found)]
    gaps = [found for found in absent if not _is_search(found)]
    blocks: list[Block] = []
    if gaps:
        blocks.append(_table(facts, "gaps", "", gaps))
    elif not facts.results.damaged:
        blocks.append(Words(["Every planned training gave a score, and every record could be read."]))
    if diverged:
        blocks.append(
            _table(facts, "diverged", f"{plural(len(diverged), 'trial')} that diverged during a search", diverged)
        )
    if unfit := _unfit(facts):
        blocks.append(unfit)
    if facts.results.damaged:
        files = facts.results.damaged
        more = [f"and {len(files) - 20} more"] if len(files) > 20 else []
        blocks.append(Words(["Record files that could not be read, counted as absent:"]))
        blocks.append(Words([*files[:20], *more], listed=True, tone="code"))
    return Section("gaps", "Failures and gaps", how, blocks)


def _is_search(found: tuple[str, Row]) -> bool:
    """A trial that diverged belongs to the search: that is how it learns which rates are too high."""
    return found[0] == "trial" and found[1]["status"] == "diverged"


def _table(facts: Facts, name: str, title: str, found: list[tuple[str, Row]]) -> Table:
    backbone = ["Backbone"] if facts.many_backbones else []
    heads = ("Kind", "Status", "Dataset", "Labels", *backbone, "Strategy")
    columns = [Column(head, numeric=False) for head in heads]
    columns += [Column("Repeat"), Column("Error", numeric=False), Column("Key", numeric=False)]
    count = plural(len(found), "training")
    caption = f"{count}; the first {LISTED} are listed." if len(found) > LISTED else f"{count}."
    rows = [_gap(facts, kind, row) for kind, row in found[:LISTED]]
    return Table(name, columns, rows, caption, title=title, folded=bool(title))


def _unfit(facts: Facts) -> Table | None:
    """One row for each strategy that does not fit a backbone, however many cells that is."""
    finals = facts.results.finals
    unfit = records(finals[finals["status"] == OUT_OF_SCOPE])
    found = {(row["backbone"], row["strategy"]): str(row["error"]) for row in unfit}
    if not found:
        return None
    columns = [Column(head, numeric=False) for head in ("Backbone", "Strategy", "Reason")]
    rows = [[name_cell(backbone), name_cell(strategy), TableCell(why)] for (backbone, strategy), why in found.items()]
    caption = "These cannot be used on that backbone. That is no failure, and they are not counted as missing."
    return Table("not_applicable", columns, rows, caption, title=f"Not applicable: {plural(len(found), 'pair')} of "
                 "backbone and strategy")


def _absent(facts: Facts) -> list[tuple[str, Row]]:
    """Failures first, then what is missing."""
    results = facts.results
    frames = (("final", results.every_final), ("trial", results.every_trial), ("pretraining", results.pretrainings))
    found = [(kind, row) for kind, frame in frames for row in records(frame[frame["status"] != "ok"])]
    order = {"missing": 1}
    return sorted(found, key=lambda item: order.get(item[1]["status"], 0))


def _gap(facts: Facts, kind: str, row: Row) -> list[TableCell]:
    error = str(row.get("error", "")) or ABSENT
    short = error if len(error) <= 300 else error[:299] + "…"
    budget = row.get("budget")
    return [
        TableCell(kind),
        TableCell(str(row["status"]).replace("_", " "), value=row["status"]),
        facts.dataset_cell(row["dataset"]),
        TableCell(labels(budget), value=budget, css="line") if budget else TableCell(ABSENT),
        *([name_cell(row["backbone"])] if facts.many_backbones else []),
        name_cell(row.get("strategy", "") or ABSENT),
        TableCell(str(row["repeat"]), value=int(row["repeat"])) if "repeat" in row else TableCell(ABSENT, value=""),
        TableCell(short, value=error, css="error"),
        TableCell(str(row["key"])[:12], value=str(row["key"]), css="mono", title=str(row["key"])),
    ]
