"""What all outputs say alike: the gate in one sentence, and a cell's numbers in words."""

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from bench.analysis.words import plural, shortened
from bench.errors import BLIND, INCOMPLETE, REGRESSED
from bench.gate.verdict import (
    COMPARED,
    WORDS,
    CellName,
    CostVerdict,
    GateResult,
    Verdict,
    Word,
)
from bench.text import printable

HELD: tuple[Word, ...] = ("equivalent", "identical")
ATTENTION: tuple[Word, ...] = tuple(word for word in WORDS if word not in HELD)
STATES = {0: "green", REGRESSED: "red", INCOMPLETE: "incomplete", BLIND: "blind"}
METHODS = {"pairs": "tonight against the baseline, repeat by repeat", "history": "tonight against the nights before"}
ABSENT = "—"


def fails(result: GateResult, verdict: Verdict) -> bool:
    """Whether this cell alone keeps the exit code from being 0."""
    return verdict.went_wrong or verdict.word in result.fail_on


def ordered(result: GateResult, words: Collection[Word]) -> list[Verdict]:
    """Word by word in the order of WORDS, the largest change first; the suite's order where none was measured."""

    def size(verdict: Verdict) -> float:
        return 0.0 if math.isnan(verdict.change) else abs(verdict.change)

    return sorted(result.of(words), key=lambda v: (WORDS.index(v.word), not v.went_wrong, -size(v)))


def name(text: str, most: int = 80) -> str:
    """One printable line; a long one keeps its beginning and its end."""
    return shortened(printable(text), most).strip("\u2068\u2069")  # a terminal would show isolates as codes


def cell_name(cell: CellName) -> str:
    return f"{name(cell.dataset)} @ {name(cell.budget)} · {name(cell.backbone)} · {name(cell.strategy)}"


def signed(points: float, digits: int = 2) -> str:
    """With a sign and a true minus; `0.00` has none."""
    if not math.isfinite(points):
        return ABSENT
    text = f"{points:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def share(score: float) -> str:
    return f"{100 * score:.2f}" if math.isfinite(score) else ABSENT


def drop(points: float, digits: int = 2) -> str:
    """Rounded up: what is claimed to be caught must be."""
    if not math.isfinite(points):
        return ABSENT
    factor = 10**digits
    return f"{math.ceil(points * factor - 1e-9) / factor:.{digits}f}"


def chance(p: float) -> str:
    return ABSENT if not math.isfinite(p) else "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def interval(verdict: Verdict) -> str:
    """`−3.00 to −1.20`, or nothing where there is none."""
    known = math.isfinite(verdict.low) and math.isfinite(verdict.high)
    return f"{signed(verdict.low)} to {signed(verdict.high)}" if known else ""


def numbers(result: GateResult, verdict: Verdict) -> str:
    """All that was measured of a compared cell: `from 91.20 % to 89.10 %, change ..., n = 5, p = ...`."""
    if verdict.word not in COMPARED:
        return ""
    span = interval(verdict)
    caught = f"a drop of {drop(verdict.smallest)} points would have been caught here, 4 times in 5"
    parts = [
        f"from {share(verdict.before)} % to {share(verdict.after)} %",
        f"change {signed(verdict.change)} points" + (f" (interval {span})" if span else ", no interval"),
        f"margin {result.margin:g}",
        f"n = {verdict.n}",
        f"p = {chance(verdict.p)}".replace("= <", "<"),
    ]
    return f"{', '.join(parts)}; {caught if math.isfinite(verdict.smallest) else 'no size of drop was sure to be seen'}"


def reading(result: GateResult, verdict: Verdict) -> str:
    """The verdict in words, without the cell's name: one line."""
    reason = f": {name(verdict.reason, 500)}" if verdict.reason else ""
    wrong = ", tonight's training went wrong" if verdict.went_wrong else ""
    measured = numbers(result, verdict)
    return f"{verdict.word}{wrong}{reason}" + (f"; {measured}" if measured else "")


def mean_reading(result: GateResult) -> str:
    """Of all cells together: one line, empty where nothing was compared."""
    if result.mean is None:
        return ""
    if result.mean.word == "identical":
        return f"{result.mean.cell.strategy}: identical"
    told = numbers(replace(result, margin=round(result.mean_margin, 3)), result.mean)
    reason = f": {name(result.mean.reason, 500)}" if result.mean.reason else ""
    return f"{result.mean.cell.strategy}: {result.mean.word}{reason}; {told}"


def cost_reading(cost: CostVerdict) -> str:
    reason = f": {name(cost.reason, 500)}" if cost.reason else ""
    return f"{cost.quantity} {cost.word}{reason}; {cost_numbers(cost)}"


def cost_numbers(cost: CostVerdict) -> str:
    factor = f" (factor {cost.factor:.2f})" if math.isfinite(cost.factor) else ""
    return f"from {amount(cost, cost.before)} to {amount(cost, cost.after)}{factor}"


def amount(cost: CostVerdict, value: float) -> str:
    if not math.isfinite(value):
        return ABSENT
    return f"{value / 1e6:,.1f} MB" if cost.quantity == "memory" else f"{value:.3g} s"


def counts(result: GateResult, words: Collection[Word]) -> str:
    """`2 regressed, 1 missing`, in the order of WORDS; nothing where there is none of them."""
    return ", ".join(f"{result.count(word)} {word}" for word in WORDS if word in words and result.count(word))


def repeats(result: GateResult) -> str:
    found = sorted({verdict.n for verdict in result.of(COMPARED)})
    if not found:
        return ABSENT
    return f"n = {found[0]}" if len(found) == 1 else f"n = {found[0]} to {found[-1]}"


def caught(result: GateResult) -> str:
    """`1.9 points in every cell`; a cell of which it is unknown is not in it."""
    compared = result.of(COMPARED)
    known = sum(not math.isnan(verdict.smallest) for verdict in compared)
    if not known:
        return "unknown in every cell" if compared else "nothing was compared"
    where = "every cell" if known == len(compared) else f"{known} of {plural(len(compared), 'cell')}"
    return f"{drop(result.smallest, 1)} points in {where}, 4 times in 5"


def sight(result: GateResult) -> str:
    """What could have been seen; a gate that is blind for `must_see` says so first."""
    if not result.blind:
        all_of_them = len(result.of(COMPARED)) == len(result.verdicts)
        where = "every cell" if all_of_them else "every cell that was compared"
        return f"a drop of {drop(result.smallest, 1)} points would have been caught in {where}, 4 times in 5"
    return (
        f"blind: in {len(result.blind)} of {plural(len(result.of(COMPARED)), 'compared cell')} a drop of "
        f"{result.must_see:g} points could have gone unseen; the smallest that would have been caught: {caught(result)}"
    )


def _causes(result: GateResult) -> str:
    """Why a gate that saw too little did, each cell once."""
    causes = Counter(
        v.word if v.word not in COMPARED
        else "with fewer repeats than the baseline" if not v.is_whole
        else "too noisy for so few repeats"
        for v in result.unseen
    )  # fmt: skip
    told = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
    of = plural(len(result.accepted), "cell")
    return f"a drop of {result.must_see:g} points could have gone unseen in {len(result.unseen)} of {of} ({told})"


def sentence(result: GateResult) -> str:
    """The gate in one line, for people and for a search through logs."""
    if not result.of(COMPARED):
        return found(result)
    is_said = result.exit_code == BLIND and result.blind  # how many cells it could not see is the first that it says
    told = f"the smallest that would have been caught: {caught(result)}" if is_said else sight(result)
    return f"{found(result)}; {told}"


def found(result: GateResult) -> str:
    """The same without what could have been seen."""
    compared = result.of(COMPARED)
    state = STATES[result.exit_code] if compared or result.exit_code != BLIND else "nothing compared"
    slower = sum(cost.word == "slower" for cost in result.costs)
    told = [counts(result, ATTENTION), f"{plural(slower, 'cost')} slower" if slower else ""]
    parts = [", ".join(filter(None, told))]
    if result.mean is not None and result.mean.word in ("regressed", "improved"):
        whose = result.mean.cell.strategy
        whose = "mean of all" if whose.startswith("mean of all") else whose
        parts.insert(0, f"the {whose} {result.mean.word}")
    if state == STATES[BLIND]:
        parts.insert(0, _causes(result))
    if compared:
        held = "" if result.count("regressed") else f", nothing surely dropped by more than {result.margin:g} points"
        most = len(result.verdicts)
        of = f"{len(compared)} of {plural(most, 'cell')}" if len(compared) < most else plural(most, "cell")
        size = f"{of} compared ({repeats(result)}){held}"
        parts = [size, *parts] if state == "green" else [*parts, size]
    if wrong := sum(verdict.went_wrong for verdict in result.verdicts):
        parts.append(f"tonight's training went wrong in {plural(wrong, 'cell')}")
    spared = [word for word in ("regressed", "missing") if word not in result.fail_on and result.count(word)]
    if spared:
        parts.append(f"by the options given, {' and '.join(spared)} fails nothing")
    return f"gate: {state} — {'; '.join(filter(None, parts)) or 'there are no cells'}"


def reasons(verdicts: Collection[Verdict]) -> dict[str, list[Verdict]]:
    """By their reason: a changed environment makes every cell incomparable for one reason."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.reason, []).append(verdict)
    return found


def some(verdicts: Collection[Verdict], most: int = 3) -> str:
    """`a, b and 22 more`."""
    shown = ", ".join(cell_name(verdict.cell) for verdict in list(verdicts)[:most])
    return shown if len(verdicts) <= most else f"{shown} and {len(verdicts) - most} more"
