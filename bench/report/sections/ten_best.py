"""The reading of Yosinski et al. 2014, which chooses by the test set, beside the last test score."""

import math
from collections.abc import Mapping
from dataclasses import replace

from bench.analysis.ten_best import Inflation, TenBest, num_readings, ten_best
from bench.analysis.transferability import Study
from bench.analysis.treatments import BASE
from bench.report.facts import Facts
from bench.report.figures.treatments import gains_panel
from bench.report.view import ABSENT, Block, Column, Figure, Look, Panel, Table, TableCell, percent, signed
from bench.suite.study_schema import BEST

MARK = "selected on the test set"
FIGURE = (
    "Left: the last test score of each training, as everywhere else on this page. Right: the mean of the {best} best "
    "of its {num} test scores, as the paper reports. That is selection on the test set; it stands here for comparison, "
    "and no other number reads it. Both drawings have the same y axis."
)
TABLE = (
    "Means over depths, target halves and repeats. “Inflation” is the {best} best less the last score, with a 95 % "
    "interval over repeats."
)
TABLE_METHOD = (
    "The interval is Student's t. Inflation is below 0 where scores still rise so late that the {best} best of {num} "
    "reach back to worse ones."
)


def ten_best_blocks(facts: Facts, looks: Mapping[str, Look], base: Look) -> list[Block]:
    """A drawing and a table for each kind of pair, where the suite asks for this reading."""
    blocks: list[Block] = []
    amounts = {"best": BEST, "num": num_readings(facts.results)}
    for number, (study, other) in enumerate(zip(facts.studies, ten_best(facts.results), strict=False)):
        limits = _limits([study, other])
        panels = [
            Panel("The last score", "against the base", gains_panel(study, looks, f"last{number}", limits)),
            Panel("The paper's reading", MARK, gains_panel(other, looks, f"best{number}", limits)),
        ]
        title = f"{study.kind.capitalize()}, read as in the paper: {MARK}"
        drawn = [look for name, look in looks.items() if name != "random"]
        blocks.append(Figure(panels, [base, *drawn], FIGURE.format(**amounts), title=title, wide=True))
        blocks.append(replace(_table(other, {BASE: base, **looks}, number, TABLE.format(**amounts)),
                              method=TABLE_METHOD.format(**amounts)))  # fmt: skip
    return blocks


def _limits(both: list[Study | TenBest]) -> tuple[float, float]:
    gains = [100 * (one - each.base) for each in both for curve in each.curves if curve.treatment != "random"
             for one in curve.means.values()]  # fmt: skip
    low, high = min([0.0, *gains]), max([0.0, *gains])
    air = 0.06 * max(high - low, 1.0)
    return low - air, high + air


def _table(found: TenBest, looks: Mapping[str, Look], number: int, caption: str) -> Table:
    columns = [Column("Treatment", numeric=False), Column("Last score", "%"), Column("Ten best", f"%, {MARK}"),
               Column("Inflation", "points", interval=True)]  # fmt: skip
    return Table(f"ten-best-{number}", columns, [_row(one, looks[one.treatment]) for one in found.inflations], caption)


def _row(one: Inflation, look: Look) -> list[TableCell]:
    gain = one.gain
    half = f" ±{100 * gain.half:.1f}" if math.isfinite(gain.half) else ""
    cell = TableCell(f"{signed(gain.mean)}{half}", value=100 * gain.mean,
                     bounds=(100 * gain.low, 100 * gain.high, gain.n))  # fmt: skip
    scores = [TableCell(percent(value), value=100 * value) if math.isfinite(value) else TableCell(ABSENT, value="")
              for value in (one.last, one.ten_best)]  # fmt: skip
    return [TableCell(look.name, series=look), *scores, cell]
