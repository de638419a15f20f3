"""How far targets lie from what networks learned before, what the bound of Ben-David et al. comes to, and whether the
gain over scratch falls with the distance."""

import math

from bench.analysis.distances import DRAWS, FEWEST_PAIRS, MOST_LISTED, Distances, Pair, Trend, distances, trends
from bench.analysis.statistics import Interval
from bench.analysis.words import labels, plural, shortened
from bench.report.facts import Facts, name_cell, unique
from bench.report.figures.gains import gains_by_distance_panel
from bench.report.view import ABSENT, Block, Column, Figure, Panel, Section, Table, TableCell, Words, percent, signed

APART = (
    "How well a linear classifier tells source from target, by what the pretrained network hands to its classifier "
    "and by {inputs}. MMD² still differs between targets that these put near 2."
)
APART_METHOD = (
    "Proxy A-distance, 2(1 − 2 × error): a logistic regression tells {num} {example}s of the source's test split from "
    "as many of the target's training split, without their labels, and each {example} is judged by a fit on others "
    "(five folds). A value below 0 comes by chance. MMD²: the squared maximum mean discrepancy of the features, "
    "without bias, with a Gaussian kernel as wide as the median distance. 95 % intervals speak of new "
    "{example}s{renewed}: Wilson's for the errors, widened because folds hang together (Nadeau and Bengio 2003), the "
    "jackknife's for MMD²."
)
INPUTS = "what the network takes in, which of a text is how often each token stands in it"
BOUND_CAPTION = "The sum is about the largest error to expect on the target; 100 points or more say nothing."
BOUND = (
    "Ben-David et al. 2010: where source and target have the same classes, the error of a classifier on the target "
    "is at most its error on the source, plus half of the distance between the two, plus λ, the least sum of both "
    "errors that one classifier can have. "
)
SAME = (
    "Here: the network with its own head, half of the proxy A-distance of its features, and for λ the sum of both "
    "errors of the better of two heads on these features, that one and a linear head fitted on both sides: λ is at "
    "most this sum, for another head may have a lower one. All three are estimates on the same {example}s, by linear "
    "classifiers, "
    "and the theorem's own distance can be larger, so their sum is no guarantee. A sum of 100 points or more says "
    "nothing, because no error is larger. Beside it stands the error that the network, untouched, has on the target. "
)
OTHER = (
    "Where the classes differ, as they do in {where}, no one classifier is right or wrong on both sides, so that λ "
    "and the bound are not defined. What can be given is the joint error of a linear head: its error on source "
    "{example}s plus that on target {example}s, from 0 to 200 points, where all classes of both stand side by side. "
)
LABELS = "The linear head is fitted on target labels beyond any label budget; no strategy sees it."
TREND = (
    "ρ is below 0 where transfer gains less the farther the target is; p is a guide, no proof, as pairs that have a "
    "target or a network in common are not independent."
)
TREND_METHOD = (
    "Spearman's ρ between the proxy A-distance of the features and the gain over the baseline, over pairs of target "
    "and network. p: the share of {orders} of the gains "
    "that go with or against the distance as strongly, after Holm's correction over the rows. Targets differ in more "
    "than their distance."
)


def distance_section(facts: Facts) -> Section | None:
    found = distances(facts.results.finals)
    if not found.pairs and not found.errors and not facts.results.suite.get("records", {}).get("distances"):
        return None
    how = (
        f"0: nothing tells {facts.example}s of the target from those of the data set that the network learned last. 2: "
        "a linear classifier always tells them apart."
    )
    blocks: list[Block] = [_words(found)] if found.errors or found.num_without else []
    if found.pairs:
        blocks += [_apart(facts, found.pairs), _bound(facts, found.pairs), *_gains(facts, found)]
    return Section("distance", "How far the target is", how, blocks)


def _words(found: Distances) -> Words:
    lines = [f"Not measured: {shortened(one, 300)}." for one in found.errors]
    if found.num_without:
        lines.append(f"{plural(found.num_without, 'pair')} of target and network without a distance: their records "
                     "were made before the suite asked for it. `run --rerun all` makes them again.")  # fmt: skip
    return Words(lines, tone="note")


def _names(facts: Facts, pair: Pair) -> list[TableCell]:
    return [facts.dataset_cell(pair.dataset), name_cell(pair.lesson), name_cell(pair.backbone)]


NAMES = [Column("Target", numeric=False), Column("Learned before", numeric=False), Column("Backbone", numeric=False)]


def _apart(facts: Facts, pairs: list[Pair]) -> Table:
    is_of_pictures = facts.modalities == ["image"]
    columns = [*NAMES, Column("By features", "0 to 2", interval=True)]
    columns.append(Column("By pixels" if is_of_pictures else "By inputs", "0 to 2", interval=True))
    columns += [Column("MMD²", interval=True), Column(f"{facts.example.capitalize()}s", "of each side")]
    rows = [
        [*_names(facts, one), _number(one.features, 2), _number(one.pixels, 2), _number(one.mmd, 3),
         TableCell(str(one.num))]
        for one in pairs
    ]  # fmt: skip
    nums = sorted({one.num for one in pairs})
    num = str(nums[0]) if len(nums) == 1 else f"{nums[0]} to {nums[-1]}"
    renewed = " and new pretrainings" if facts.renews_pretraining else ""
    method = APART_METHOD.format(num=num, example=facts.example, renewed=renewed)
    caption = APART.format(inputs="its pixels" if is_of_pictures else INPUTS)
    return Table("distances", columns, rows, caption, method=method)


def _number(found: Interval, digits: int) -> TableCell:
    if not math.isfinite(found.mean):
        return TableCell(ABSENT, value="")
    texts = [f"{one:.{digits}f}".replace("-", "−") for one in (found.mean, found.low, found.high)]
    zero = f"{0:.{digits}f}"
    mean, low, high = (zero if text == f"−{zero}" else text for text in texts)
    return TableCell(mean, value=found.mean, sub=f"{low} to {high}", bounds=(found.low, found.high, found.n))


def _error(found: Interval) -> TableCell:
    if not math.isfinite(found.mean):
        return TableCell(ABSENT, value="")
    bounds = (100 * found.low, 100 * found.high, found.n)
    ends = f"{percent(found.low)} to {percent(found.high)}"
    return TableCell(percent(found.mean), value=100 * found.mean, sub=ends, bounds=bounds)


def _bound(facts: Facts, pairs: list[Pair]) -> Table:
    same = [one for one in pairs if one.same_classes]
    others = [one for one in pairs if not one.same_classes]
    columns = [*NAMES, Column("Source error", "%", interval=True), Column("Half the distance", "points")]
    if same:
        columns += [Column("λ", "points", interval=True), Column("Sum", "points")]
        columns.append(Column("Error on the target", "%", interval=True))
    if others:
        columns.append(Column("Joint error of a linear head", "points", interval=True))
    rows = []
    for one in pairs:
        half = max(one.features.mean, 0.0) / 2
        row = [*_names(facts, one), _error(one.source_error), TableCell(percent(half), value=100 * half)]
        if same:
            row += [_error(one.least), _sum(one), _error(one.target_error)] if one.same_classes else [_undefined()] * 3
        if others:
            row.append(TableCell(ABSENT, value="") if one.same_classes else _error(one.joint))
        rows.append(row)
    where = "every pair here" if not same else plural(len(others), "pair") + " here"
    method = BOUND + (SAME.format(example=facts.example) if same else "")
    method += (OTHER.format(where=where, example=facts.example) if others else "") + LABELS
    caption = BOUND_CAPTION if same else "The classes differ everywhere here, so no bound is defined."
    return Table("bound", columns, rows, caption, title="The bound on the target's error", method=method)


def _sum(pair: Pair) -> TableCell:
    return TableCell(percent(pair.bound), value=100 * pair.bound, sub="says nothing" if pair.bound >= 1 else "")


def _undefined() -> TableCell:
    return TableCell(ABSENT, value="", sub="classes differ")


def _gains(facts: Facts, found: Distances) -> list[Block]:
    tested = trends(facts.results.finals, facts.verdicts, found)
    if not tested:
        words = f"Whether gains fall with the distance takes {FEWEST_PAIRS} pairs of target and network to tell."
        return [Words([words])]
    panels = []
    for number, budget in enumerate(unique(one.budget for one in tested)):
        mine = [one for one in tested if one.budget == budget]
        picture = gains_by_distance_panel(mine, facts.strategies, f"gains-by-distance{number}")
        panels.append(Panel(labels(budget), "", picture, facts.about(budget=budget)))
    looks = [facts.strategies[name] for name in unique(one.strategy for one in tested)]
    caption = "A mark is a target on one network. Each drawing has a y axis of its own."
    return [Figure(panels, looks, caption, title="Gain over scratch by distance"), _trends(facts, tested)]


def _trends(facts: Facts, tested: list[Trend]) -> Table:
    columns = [Column("Strategy", numeric=False), Column("Labels", numeric=False), Column("Pairs"), Column("ρ")]
    columns.append(Column("p", "after correction"))
    rows = [
        [
            name_cell(one.strategy, facts.strategies[one.strategy]),
            TableCell(labels(one.budget)),
            TableCell(str(len(one.points))),
            TableCell(signed(one.rho / 100, 2) if math.isfinite(one.rho) else ABSENT, value=one.rho),
            TableCell(f"{one.p:.2g}" if math.isfinite(one.p) else ABSENT, value=one.p),
        ]
        for one in tested
    ]
    most = max(len(one.points) for one in tested)
    drawn = f"{DRAWS:,} orders drawn by chance (of {MOST_LISTED} pairs or fewer, all orders)"
    orders = "all orders" if most <= MOST_LISTED else drawn
    return Table("distance-gains", columns, rows, TREND, method=TREND_METHOD.format(orders=orders))
