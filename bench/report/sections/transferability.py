"""The layer-transfer study: where along the network features stop being general."""

import math

from bench.analysis.transferability import QUANTITIES, Study, units
from bench.analysis.treatments import BASE, SIMILAR
from bench.analysis.words import plural
from bench.report.facts import Facts
from bench.report.figures.treatments import gains_panel, paper_panel, scores_panel
from bench.report.palette import NUM_COLORS, SHAPES
from bench.report.sections.readings import reading_cell, summary_table
from bench.report.sections.ten_best import ten_best_blocks
from bench.report.view import Block, Column, Figure, Look, Panel, Section, Table, TableCell, Words

UNEQUAL = 1.5  # times the base's FLOPs
BASE_LOOK = Look("base: from scratch", "ink", 0, (4, 3), hollow=True)
MEANINGS = {
    "BnB": "BnB: own half, frozen",
    "BnB+": "BnB+: own half, tuned",
    "AnB": "AnB: other half, frozen",
    "AnB+": "AnB+: other half, tuned",
    "random": "random, frozen",
}
CAPTION = "Differences in points, paired by target half, repeat and test {example}, and averaged over {targets}."
METHOD = (
    "Holm's correction runs over the {num} tested readings of all tables like this one (5 %); each interval is that of "
    "its reading's own step. Intervals speak {scope} The halves are held fixed: {pairs} cannot say anything about "
    "other ways to divide the classes. {rates} “Boost” takes the control that was tuned as long. “Boost, unpaired” is "
    "what the paper reports: it counts what longer training gives as a gain, so it is not tested and has a plain 95 % "
    "interval."
)
ONE_RATE = "All trainings share one learning rate, as in the paper."
OWN_RATES = "Each treatment has a search of its own for the learning rate at each depth; in the paper all share one."


def transferability_section(facts: Facts) -> Section | None:
    found = facts.studies
    if not found:
        return None
    how = (
        "A network learns one half of the classes; its first units (groups of layers) are kept and everything above "
        "starts afresh on the other half. Further right, more is kept."
    )
    looks = _looks(found)
    blocks: list[Block] = []
    for number, study in enumerate(found):
        panels = [
            Panel("Test scores", "", scores_panel(study, looks, f"treatments{number}")),
            Panel("Gain over the base", "", gains_panel(study, looks, f"gains{number}")),
            Panel("The same in the paper", "AlexNet",
                  paper_panel(looks, study.kind == SIMILAR, f"published{number}")),
        ]  # fmt: skip
        caption = (
            "Upright strokes reach from the lowest target half to the highest, each a mean over its repeats; lines are "
            "means over all. The last drawing has the gains that Yosinski et al. 2014 found on halves of ImageNet; "
            "compare shapes, not sizes."
        )
        method = (
            "Own and other half: what the network learned whose units are kept. Each drawing has a y axis of its own, "
            "which need not start at 0. Random units are left out of the gains."
        )
        title = study.kind.capitalize()
        blocks.append(Figure(panels, [BASE_LOOK, *looks.values()], caption, title=title, method=method))
        blocks.append(_table(study, facts, number))
        blocks += [*summary_table(study, number), *_collapsed(study)]
    blocks = [*_unequal(facts), *blocks]
    blocks += ten_best_blocks(facts, looks, BASE_LOOK)
    return Section("transferability", "Where features stop being general", how, blocks)


def _unequal(facts: Facts) -> list[Words]:
    """The paper's base is trained just as the networks whose units are kept: it is one of them."""
    results = facts.results
    of_base = results.finals["flops"][results.finals["treatment"] == BASE].median()
    ratio = results.pretrainings["flops"].median() / of_base
    if not (ratio > UNEQUAL or ratio < 1 / UNEQUAL):  # NaN: nobody knows
        return []
    side = "gain" if ratio > 1 else "lose"
    text = (
        f"The networks whose units are kept trained for {ratio:.2g} times the FLOPs of the base. In the paper both "
        f"train alike. Here a part of what the other treatments {side} against the base is the length of training; "
        "specificity and boost do not read the base."
    )
    return [Words([text], tone="warning")]


def _collapsed(study: Study) -> list[Words]:
    if not study.left_out:
        return []
    named = [f"{one.treatment}{_kept(one.keep)} on {one.target}, {one.num} of {plural(one.of, 'repeat')}"
             for one in study.left_out]  # fmt: skip
    text = (
        "Left out here, because the network collapsed in these repeats and not in all of its cell: "
        f"{'; '.join(named)}. A mean over trainings that work and trainings that break has no honest interval. Where "
        "all repeats of a cell collapsed, they count as they are."
    )
    return [Words([text], tone="note")]


def _kept(keep: int) -> str:
    return f" with {units([keep])} kept" if keep else ""


def _looks(found: list[Study]) -> dict[str, Look]:
    present = {curve.treatment for study in found for curve in study.curves}
    treatments = [name for name in MEANINGS if name in present]
    return {
        name: Look(MEANINGS[name], f"s{number % NUM_COLORS}", (number + 1) % len(SHAPES))
        for number, name in enumerate(treatments)
    }


def _table(study: Study, facts: Facts, number: int) -> Table:
    depths = sorted({one.keep for one in study.readings if one.form == "depth"})
    columns = [Column("Quantity", numeric=False)]
    columns += [Column(plural(keep, "unit"), "points", interval=True) for keep in depths]
    lines = []
    for quantity in QUANTITIES:
        by_depth = {one.keep: one for one in study.of(quantity.name)}
        if by_depth:
            what = f"{quantity.minuend} − {quantity.subtrahend}"
            name = TableCell(quantity.name, sub=what, title=quantity.means, css="name")
            lines.append([name, *(reading_cell(by_depth.get(keep)) for keep in depths)])
    most = max(one.num_targets for one in study.readings if one.form == "depth")
    caption = CAPTION.format(targets=plural(most, "target half", "target halves"), example=facts.example)
    method = METHOD.format(
        num=_num_tested(facts), scope=facts.scope, pairs=plural(study.num_pairs, "pair"),
        rates=ONE_RATE if _has_one_rate(facts) else OWN_RATES,
    )  # fmt: skip
    return Table(f"readings-{number}", columns, lines, caption, method=method)


def _has_one_rate(facts: Facts) -> bool:
    finals = facts.results.finals
    return bool(finals["lr"][finals["treatment"] != ""].nunique() == 1)


def _num_tested(facts: Facts) -> int:
    return sum(math.isfinite(one.p) for study in facts.studies for one in study.readings if one.form == "depth")
