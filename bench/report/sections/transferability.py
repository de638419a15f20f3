"""The layer-transfer study: where along the network features stop being general."""

from bench.analysis.transferability import LOSS, QUANTITIES, SIMILAR, Reading, Study, costly, harmless, studies
from bench.analysis.words import plural, plus_minus
from bench.report.facts import Facts
from bench.report.figures.treatments import gains_panel, published_panel, scores_panel
from bench.report.palette import NUM_COLORS, SHAPES
from bench.report.view import ABSENT, Block, Column, Figure, Look, Panel, Section, Table, TableCell, Words, signed

BASE_LOOK = Look("base: from random weights", "ink", 0, (4, 3), hollow=True)
MEANINGS = {
    "BnB": "BnB: units of a network that learned the target's own part, frozen",
    "BnB+": "BnB+: the same, tuned too",
    "AnB": "AnB: units of a network that learned the other part, frozen",
    "AnB+": "AnB+: the same, tuned too",
    "random": "units that never learned, frozen",
}
CAPTION = (
    "Differences in points, paired by target part, repeat and test image, and averaged over {targets}. Intervals are "
    "those of each reading's own step in Holm's correction over all {num} readings of this study (5 %); they speak of "
    "{scope} The pairs of parts are held fixed: {pairs} allow no inference to other ones. Each treatment has a search "
    "of its own for the rate, unlike the paper, where all share one rate. `Boost, unpaired` is the paper's reading; it "
    "counts what longer training gives as a gain, which is why `boost` takes the control that was tuned as long."
)


def transferability_section(facts: Facts) -> Section | None:
    found = studies(facts.results)
    if not found:
        return None
    how = (
        "A network learns one part of the classes; its first units are kept and everything above starts afresh on the "
        "other part. Further right, more is kept."
    )
    looks = _looks(found)
    blocks: list[Block] = [Words([_verdict(study, facts.results.margin) for study in found], listed=True)]
    for number, study in enumerate(found):
        panels = [
            Panel(study.kind, "scores", scores_panel(study, looks, f"treatments{number}")),
            Panel(study.kind, "against the base", gains_panel(study, looks, f"gains{number}")),
            Panel("Yosinski et al. 2014", "AlexNet on halves of ImageNet",
                  published_panel(looks, study.kind == SIMILAR, f"published{number}")),
        ]  # fmt: skip
        caption = (
            "Small marks are target parts, each a mean over its repeats; lines are means over all. Each drawing has a "
            "y axis of its own, which need not start at 0. Random units are left out of the middle drawing."
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


def _verdict(study: Study, margin: float) -> str:
    """In a sentence or two."""
    most, kind = study.num_units - 1, study.kind.capitalize()
    safe, first = harmless(study, margin), costly(study, margin)
    points = f"{100 * margin:g} points"
    told = []
    if study.of(LOSS):
        told.append(f"keeping {safe} of {most} units frozen is shown to cost less than {points}" if safe
                    else f"no number of frozen units is shown to cost less than {points}")  # fmt: skip
        told.append(f"from {first} on it is shown to cost more" if first else "none is shown to cost more")
    for name, words in (("co-adaptation", "co-adaptation"), ("specificity", "specificity")):
        if readings := study.of(name):
            lost = [one.keep for one in readings if one.is_shown and one.found.mean < 0]
            told.append(f"a loss by {words} is shown at {_listed(lost)}" if lost else f"no loss by {words} is shown")
    if readings := study.of("boost"):
        won = [one.keep for one in readings if one.is_shown and one.found.mean > 0]
        told.append(f"a boost beyond longer training is shown at {_listed(won)}" if won
                    else "no boost beyond longer training is shown")  # fmt: skip
    return f"{kind}: {'; '.join(told)}."


def _listed(depths: list[int]) -> str:
    return f"{', '.join(map(str, depths))} units kept"


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
        targets=plural(most, "target part"), num=sum(len(one.readings) for one in studies(facts.results)),
        scope=facts.scope, pairs=plural(study.num_pairs, "pair"),
    )  # fmt: skip
    return Table(f"readings-{number}", columns, lines, caption)


def _cell(reading: Reading | None) -> TableCell:
    if reading is None or reading.found.n == 0:
        return TableCell(ABSENT, value="", css="quiet")
    found, (low, high) = reading.found, reading.ends
    css = ("helps" if found.mean > 0 else "hurts") if reading.is_shown else "undecided"
    mark = ("▲ above 0" if found.mean > 0 else "▼ below 0") if reading.is_shown else "○ undecided"
    return TableCell(
        f"{signed(found.mean)}{plus_minus(low, found.mean, high)}",
        value=100 * found.mean,
        sub=mark,
        css=f"verdict {css}",
        bounds=(100 * low, 100 * high, found.n),
    )
