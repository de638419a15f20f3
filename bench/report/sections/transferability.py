"""The layer-transfer study: where along the network features stop being general."""

import math

from bench.analysis.transferability import QUANTITIES, SIMILAR, Reading, Study
from bench.analysis.words import plural, plus_minus
from bench.report.facts import Facts
from bench.report.figures.treatments import gains_panel, published_panel, scores_panel
from bench.report.palette import NUM_COLORS, SHAPES
from bench.report.view import ABSENT, Block, Column, Figure, Look, Panel, Section, Table, TableCell, signed

BASE_LOOK = Look("base: from scratch", "ink", 0, (4, 3), hollow=True)
MEANINGS = {
    "BnB": "BnB: own half, frozen",
    "BnB+": "BnB+: own half, tuned",
    "AnB": "AnB: other half, frozen",
    "AnB+": "AnB+: other half, tuned",
    "random": "random, frozen",
}
CAPTION = (
    "Differences in points, paired by target half, repeat and test image, and averaged over {targets}. Intervals are "
    "those of each reading's own step in Holm's correction over the {num} tested readings of this page (5 %); they "
    "speak {scope} The pairs of halves are held fixed: {pairs} allow no inference to other ones. Each treatment has a "
    "search of its own for the rate; in the paper all share one. “Boost, unpaired” is the paper's reading. It "
    "counts what longer training gives as a gain, so it is not tested and has a plain 95 % interval; “boost” takes the "
    "control that was tuned as long."
)


def transferability_section(facts: Facts) -> Section | None:
    found = facts.studies
    if not found:
        return None
    how = (
        "A network learns one half of the classes; its first units are kept and everything above starts afresh on the "
        "other half. Further right, more is kept."
    )
    looks = _looks(found)
    blocks: list[Block] = []
    for number, study in enumerate(found):
        panels = [
            Panel(study.kind, "scores", scores_panel(study, looks, f"treatments{number}")),
            Panel(study.kind, "against the base", gains_panel(study, looks, f"gains{number}")),
            Panel("Yosinski et al. 2014", "AlexNet on halves of ImageNet",
                  published_panel(looks, study.kind == SIMILAR, f"published{number}")),
        ]  # fmt: skip
        caption = (
            "Own and other half: what the network learned whose units are kept. Small marks are target halves, each a "
            "mean over its repeats; lines are means over all. Each drawing has a y axis of its own, which need not "
            "start at 0. Random units are left out of the middle drawing."
        )
        blocks.append(Figure(panels, [BASE_LOOK, *looks.values()], caption, title=study.kind.capitalize()))
        blocks.append(_table(study, facts, number))
    return Section("transferability", "Where features stop being general", how, blocks)


def _looks(found: list[Study]) -> dict[str, Look]:
    treatments = dict.fromkeys(curve.treatment for study in found for curve in study.curves)
    return {
        name: Look(MEANINGS[name], f"s{number % NUM_COLORS}", (number + 1) % len(SHAPES))
        for number, name in enumerate(treatments)
    }


def _table(study: Study, facts: Facts, number: int) -> Table:
    depths = sorted({one.keep for one in study.readings})
    columns = [Column("Quantity", numeric=False)]
    columns += [Column(plural(keep, "unit"), "points", interval=True) for keep in depths]
    lines = []
    for quantity in QUANTITIES:
        by_depth = {one.keep: one for one in study.of(quantity.name)}
        if by_depth:
            what = f"{quantity.minuend} − {quantity.subtrahend}"
            lines.append([
                TableCell(quantity.name, sub=what, title=quantity.means), *(_cell(by_depth.get(k)) for k in depths)
            ])
    most = max(one.num_targets for one in study.readings)
    caption = CAPTION.format(
        targets=plural(most, "target half", "target halves"), num=_num_tested(facts), scope=facts.scope,
        pairs=plural(study.num_pairs, "pair"),
    )  # fmt: skip
    return Table(f"readings-{number}", columns, lines, caption)


def _num_tested(facts: Facts) -> int:
    return sum(math.isfinite(one.p) for study in facts.studies for one in study.readings)


def _cell(reading: Reading | None) -> TableCell:
    if reading is None or reading.found.n == 0:
        return TableCell(ABSENT, value="", css="quiet")
    found, (low, high) = reading.found, reading.ends
    css = ("helps" if found.mean > 0 else "hurts") if reading.is_shown else "undecided"
    mark = ("▲ above 0" if found.mean > 0 else "▼ below 0") if reading.is_shown else "○ undecided"
    mark = mark if reading.quantity.is_tested else "not tested"
    return TableCell(
        f"{signed(found.mean)}{plus_minus(low, found.mean, high)}",
        value=100 * found.mean,
        sub=mark,
        css=f"verdict {css}",
        bounds=(100 * low, 100 * high, found.n),
    )
