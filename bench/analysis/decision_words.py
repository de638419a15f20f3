"""A decision in sentences: what to take, how sure that is, what it costs, and whether transfer is worth it."""

import math

from bench.analysis.cells import Row
from bench.analysis.decision import Decision, Decisions, Option
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, UNDECIDED
from bench.analysis.words import labels, listed, plural, points, shortened
from bench.modalities import MODALITIES

AS_MUCH = 0.95  # of another's compute, and up to its inverse
NAMED = 3  # strategies, or tasks, in a sentence


def answer(found: Decisions, verdicts: list[Row]) -> list[str]:
    """The first sentences of a page."""
    if not found.tasks:
        return []
    told = []
    for one in _first(found):
        told += [_what_to_take(found, one), _ways_on(found, one)]
    return [sentence for sentence in [*(told or [_by_task(found)]), *_worth(found, verdicts)] if sentence]


def _first(found: Decisions) -> list[Decision]:
    """Of each modality, the mean over its tasks, or its only task."""
    by_modality: dict[str, list[Decision]] = {}
    for one in found.tasks:
        by_modality.setdefault(one.modality, []).append(one)
    overall = {one.modality: one for one in found.overall}
    return [overall[name] if name in overall else mine[0] for name, mine in by_modality.items()
            if name in overall or len(mine) == 1]  # fmt: skip


def _over(found: Decisions, one: Decision) -> str:
    if len(found.tasks) == 1:
        return ""
    if len(one.questions) == 1:
        return f"On {shortened(one.questions[0][0])} with {labels(one.questions[0][1])} "
    num = len(one.questions)
    of = f" of {MODALITIES[one.modality].example}s" if num < len(found.tasks) else ""
    return f"Over {'both' if num == 2 else f'all {num}'} tasks{of} "


def _what_to_take(found: Decisions, one: Decision) -> str:
    over = _over(found, one)
    name, score = found.named(one.taken), f"{100 * one.mean:.1f}"
    if math.isnan(one.gives_up):
        told = f"{over}{name} scores highest, {score}, but {plural(one.n, 'repeat')} cannot tell what it may give up"
    elif one.is_settled:
        told = (f"{over}{'take' if over else 'Take'} {name}: it scores {score}, at most "
                f"{100 * max(one.gives_up, 0):.1f} points below the best of {one.num_options} (95 %)")  # fmt: skip
    else:
        told = (f"{over}{'no' if over else 'No'} strategy is settled: {name} is the safest, at {score}, and may give "
                f"up as much as {100 * one.gives_up:.1f} points to {found.named(one.to)} (95 %)")  # fmt: skip
    return f"{told}{f' — provisional: {_and(one.reservations)}' if one.reservations else ''}."


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}, and {parts[-1]}"


def _by_task(found: Decisions) -> str:
    """Where the tasks have no strategies in common."""
    settled = sum(one.is_settled for one in found.tasks)
    return f"A strategy is settled in {settled} of {len(found.tasks)} tasks; the table says which to take."


def price(one: Decision, option: Option, found: Decisions) -> str:
    """`1/57 of the compute of full_finetune`; nothing for what prices are compared with."""
    told = share(one, option)
    if option == one.dearest or not told:
        return ""
    between = {"1": "about", "0": "none of"}.get(told, f"{told} of" if told < "1" or "/" in told else f"{told} times")
    return f"{between} the compute of {found.named(one.dearest)}"


def share(one: Decision, option: Option) -> str:
    """Of the compute that others are compared with: `1/57`, `0.6`, `1`, `4.0`; nothing where it is not known."""
    whole = one.costs[one.dearest]
    part = one.costs[option] / whole if whole > 0 else math.nan
    if math.isnan(part):
        return ""
    if part <= 0 or AS_MUCH <= part <= 1 / AS_MUCH:
        return "1" if part > 0 else "0"
    if part >= 0.5:
        return f"{part:.1f}"
    return f"1/{1 / part:.2g}" if part > 0.01 else f"1/{1 / part:,.0f}"


def _ways_on(found: Decisions, one: Decision) -> str:
    """What it costs, and what would settle it."""
    costs = price(one, one.taken, found)
    told = [f"One training takes {costs}."] if costs else []
    if one.is_settled or math.isnan(one.gives_up):
        return " ".join(told)
    if one.cheaper:
        first, *others = one.cheaper
        told.append(f"Cheaper, and perhaps as good: {found.named(first)} ({price(one, first, found)})"
                    f"{f', {names(found, others)}' if others else ''}.")  # fmt: skip
    if math.isinf(one.repeats_needed):
        told.append("More repeats alone would not settle it: the test set is too small.")
    elif not math.isnan(one.repeats_needed):
        told.append(f"{_about(max(one.repeats_needed, one.n + 1))} repeats instead of {one.n} would likely settle it.")
    return " ".join(told)


def _about(repeats: float) -> str:
    """Two digits are more than this is good for."""
    return f"About {float(f'{repeats:.1g}' if repeats >= 20 else repeats):.0f}"


def names(found: Decisions, options: list[Option]) -> str:
    return listed([found.named(option) for option in options], NAMED)


def verdict_of(one: Decision, option: Option, verdicts: list[Row]) -> Row | None:
    """Of one task, against scratch on the same network. None: there is no scratch, or it is scratch."""
    cell = (*one.questions[0], *option)
    mine = (row for row in verdicts if (row["dataset"], row["budget"], row["backbone"], row["strategy"]) == cell)
    return next((row for row in mine if row["reference"]), None)


def _worth(found: Decisions, verdicts: list[Row]) -> list[str]:
    """Whether transfer pays: what is taken, against training from scratch."""
    rows = [(one, verdict_of(one, one.taken, verdicts)) for one in found.tasks]
    known = [row for _, row in rows if row is not None]
    scratch = [one for one, row in rows if row is None and any(two["reference"] == one.taken[1] for two in verdicts)]
    if not known and not scratch:
        return []
    parts = []
    if helps := [row for row in known if row["verdict"] == HELPS]:
        gains = sorted(float(row["difference"]) for row in helps)
        span = points(gains[0]) if len(gains) == 1 else f"{points(gains[0])} to {points(gains[-1])}"
        parts.append(f"transfer is worth it{_where(helps, rows)}: {span} points over training from scratch")
    for verdict, words in ((HURTS, "transfer hurts"), (AS_GOOD, "transfer gains nothing to speak of"),
                           (UNDECIDED, "whether transfer is worth it is undecided")):  # fmt: skip
        if mine := [row for row in known if row["verdict"] == verdict]:
            parts.append(f"{words}{_where(mine, rows)}")
    if scratch:
        where = "" if len(scratch) == len(rows) else _on([one.questions[0] for one in scratch])
        parts.append(f"transfer is not shown to beat training from scratch{where}")
    told = "; ".join(parts)
    return [f"{told[0].upper()}{told[1:]}."]


def _where(mine: list[Row], rows: list[tuple[Decision, Row | None]]) -> str:
    return "" if len(mine) == len(rows) else _on([(row["dataset"], row["budget"]) for row in mine])


def _on(questions: list[tuple[str, str]]) -> str:
    if len(questions) > 2:
        return f" in {len(questions)} tasks ({listed(list(dict.fromkeys(name for name, _ in questions)), NAMED)})"
    return " on " + " and ".join(f"{shortened(name)} with {labels(budget)}" for name, budget in questions)
