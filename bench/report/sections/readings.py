"""Cells of a layer-transfer study's readings, and the table of those that are over several depths."""

from collections.abc import Mapping

from bench.analysis.transferability import Form, Reading, Study, units
from bench.analysis.treatments import SIMILAR
from bench.analysis.words import plus_minus
from bench.report.view import ABSENT, Column, Table, TableCell, sign_mark, signed
from bench.report.yosinski_2014 import DISSIMILAR_SUMMARY, SIMILAR_SUMMARY

CAPTION = "The paper's network is AlexNet on ImageNet, without intervals: compare signs and shapes, not sizes."
METHOD = (
    "Holm's correction runs over the tested readings of all tables like this one (5 %). Figures of the paper are "
    "recomputed from its authors' logs."
)
BOOSTS = (
    "The logs have 10 of 28 runs of AnB+ and 10 of 14 of BnB+, on different halves, so that the paper's boost is not "
    "paired; of BnB they have 4 runs at each depth, of AnB 8. Its boost of 1.6 and 2.1 points counts the gain over the "
    "mean of all bases; against the base of their own half AnB+ and its control BnB+ gain 0.97 points each, and so no "
    "boost is left."
)


def reading_cell(reading: Reading | None) -> TableCell:
    if reading is None or reading.found.n == 0:
        return TableCell(ABSENT, value="", css="quiet")
    found, (low, high) = reading.found, reading.ends
    mark, css = sign_mark(found.mean, reading.is_shown)
    mark = mark if reading.quantity.is_tested else "not tested"
    return TableCell(
        f"{signed(found.mean)}{plus_minus(low, found.mean, high)}",
        value=100 * found.mean,
        sub=mark,
        css=css,
        bounds=(100 * low, 100 * high, found.n),
    )


def summary_table(study: Study, number: int) -> list[Table]:
    """None where nothing is read over several depths."""
    in_paper = SIMILAR_SUMMARY if study.kind == SIMILAR else DISSIMILAR_SUMMARY
    rows = [_row(one, in_paper) for one in study.readings if one.form != "depth"]
    if not rows:
        return []
    columns = [Column("Over several depths", numeric=False), Column("Here", "points", interval=True),
               Column("Paper", "points")]  # fmt: skip
    method = f"{METHOD} {BOOSTS}" if study.kind == SIMILAR else METHOD
    return [Table(f"depths-{number}", columns, rows, CAPTION, method=method)]


def _row(reading: Reading, in_paper: Mapping[tuple[str, Form], float]) -> list[TableCell]:
    value = in_paper.get((reading.quantity.name, reading.form))
    theirs = TableCell(ABSENT, value="", css="quiet") if value is None else TableCell(signed(value / 100), value=value)
    return [TableCell(_title(reading), title=reading.quantity.means), reading_cell(reading), theirs]


def _title(reading: Reading) -> str:
    name = reading.quantity.name
    match reading.form:
        case "change":
            return f"{name}, from {reading.depths[0]} to {units(reading.depths[-1:])} kept"
        case "gap":
            return f"{name} with {units(reading.depths)} kept, less that between random halves"
        case _:
            return f"{name}, mean over {units(reading.depths)} kept"
