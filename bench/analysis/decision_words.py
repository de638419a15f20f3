"""A decision in sentences: what to take, how sure that is, what it costs, and whether transfer is worth it."""

import math

from bench.analysis.cells import Row
from bench.analysis.decision import Decision, Decisions, Option, Question
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, UNDECIDED
from bench.analysis.words import labels, listed, plural, points, shortened
from bench.modalities import MODALITIES

AS_MUCH = 0.95  # of another's compute, and up to its inverse
NAMED = 3  # strategies, or tasks, in a sentence
UNKNOWN = "whether transfer is worth it is undecided"
WORTH = {HELPS: "transfer is worth it", HURTS: "transfer hurts", AS_GOOD: "transfer gains nothing to speak of",
         UNDECIDED: UNKNOWN}  # fmt: skip


def answer(found: Decisions, verdicts: list[Row]) -> list[str]:
    """The first sentences of a page."""
    if not found.tasks:
        return []
    told: list[str] = []
    covered: dict[str, list[Decision]] = {}
    for one in found.tasks:
        covered.setdefault(one.modality, []).append(one)
    for modality, tasks in covered.items():
        first = _of_all(found, modality, tasks)
        told += [what_to_take(found, first), _ways_on(found, first)] if first else [_by_task(found, modality, tasks)]
    left = sum(found.planned.values()) - len(found.tasks)
    told += [f"{plural(left, 'more task')} cannot be judged."] if left else []
    return [sentence for sentence in [*told, *_worth(found, verdicts)] if sentence]


def _of_all(found: Decisions, modality: str, tasks: list[Decision]) -> Decision | None:
    """The mean over the tasks of a modality, or its only task; None where they have no strategies in common."""
    overall = next((one for one in found.overall if one.modality == modality), None)
    return overall or (tasks[0] if len(tasks) == 1 else None)


def _over(found: Decisions, one: Decision) -> str:
    num, planned = len(one.questions), found.planned[one.modality]
    if num == 1:
        only = sum(found.planned.values()) == 1
        return "" if only else f"On {shortened(one.questions[0][0])} with {labels(one.questions[0][1])} "
    count = f"{num} of {planned}" if num < planned else "both" if num == 2 else f"all {num}"
    return f"Over {count} tasks{_of_modality(found, one.modality)} "


def _of_modality(found: Decisions, modality: str) -> str:
    return f" of {MODALITIES[modality].example}s" if len(found.planned) > 1 else ""


def what_to_take(found: Decisions, one: Decision) -> str:
    over = _over(found, one)
    name, score = found.named(one.taken), f"{100 * one.mean:.1f}".replace("-", "−")
    if math.isnan(one.gives_up):
        why = f"{plural(one.n, 'repeat')} cannot tell" if one.n < 2 else "too few strategies could be judged to tell"
        told = f"{over}{name} scores {'highest, ' if one.n < 2 else ''}{score}, but {why} what it may give up"
    elif one.is_settled:
        told = (f"{over}{'take' if over else 'Take'} {name}: it scores {score}, at most {100 * one.gives_up:.1f} "
                f"points below the best of {one.num_options} (95 %)")  # fmt: skip
    else:
        told = (f"{over}{'no' if over else 'No'} strategy is settled: {name} is the safest, at {score}, and may give "
                f"up as much as {100 * one.gives_up:.1f} points to {found.named(one.to)} (95 %)")  # fmt: skip
    return f"{told}{f' — provisional: {_and(one.reservations)}' if one.reservations else ''}."


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}, and {parts[-1]}"


def _by_task(found: Decisions, modality: str, tasks: list[Decision]) -> str:
    settled = sum(one.is_settled for one in tasks)
    where = _of_modality(found, modality)
    return f"No strategy finished all {len(tasks)} tasks{where}; in {settled} of them one is settled: see the table."


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
    return f"1/{1 / part:.2g}" if part > 0.1 else f"1/{1 / part:,.0f}"


def _ways_on(found: Decisions, one: Decision) -> str:
    """What it costs, and what would settle it."""
    costs = price(one, one.taken, found)
    told = [f"One training takes {costs}."] if costs else []
    if one.is_settled or math.isnan(one.gives_up):
        return " ".join(told)
    if one.cheaper:
        first, *others = one.cheaper
        cost = price(one, first, found)
        told.append(f"Cheaper, and perhaps as good: {found.named(first)}{f' ({cost})' if cost else ''}"
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


def verdict_of(question: Question, option: Option, verdicts: list[Row]) -> Row | None:
    """Against scratch on the same network. None: there is no scratch, or it is scratch."""
    cell = (*question, *option)
    mine = (row for row in verdicts if (row["dataset"], row["budget"], row["backbone"], row["strategy"]) == cell)
    return next((row for row in mine if row["reference"]), None)


def helped(question: Question, backbone: str, verdicts: list[Row]) -> bool:
    """Whether any transfer is shown to be better than scratch there."""
    here = (row for row in verdicts if (row["dataset"], row["budget"], row["backbone"]) == (*question, backbone))
    return any(row["verdict"] == HELPS and not row["from_random"] for row in here)


def _worth(found: Decisions, verdicts: list[Row]) -> list[str]:
    """Whether transfer pays, as what the first sentences say to take does it: against training from scratch."""
    taken = {one.questions[0]: one for one in found.tasks}
    taken |= {question: one for one in found.overall for question in one.questions}
    told: dict[str, list[Question]] = {}
    gains = []
    for question, one in taken.items():
        row = verdict_of(question, one.taken, verdicts)
        if not one.is_transfer:
            shown = helped(question, one.taken[0], verdicts)
            words = "transfer gains too little to be taken" if shown and one.is_settled else \
                UNKNOWN if shown else "transfer is not shown to beat training from scratch"  # fmt: skip
        elif row is None:
            continue  # nothing from scratch on that network
        else:
            words = WORTH[row["verdict"]]
            gains += [float(row["difference"])] if row["verdict"] == HELPS else []
        told.setdefault(words, []).append(question)
    parts = []
    for words, questions in sorted(told.items(), key=lambda item: item[0] != WORTH[HELPS]):
        where = "" if len(questions) == len(taken) else _on(questions)
        parts.append(f"{words}{where}{_span(gains) if words == WORTH[HELPS] else ''}")
    text = "; ".join(parts)
    return [f"{text[0].upper()}{text[1:]}."] if text else []


def _span(gains: list[float]) -> str:
    low, high = points(min(gains)), points(max(gains))
    return f": {low if low == high else f'{low} to {high}'} points over training from scratch"


def _on(questions: list[tuple[str, str]]) -> str:
    if len(questions) > 2:
        return f" in {len(questions)} tasks ({listed(list(dict.fromkeys(name for name, _ in questions)), NAMED)})"
    return " on " + " and ".join(f"{shortened(name)} with {labels(budget)}" for name, budget in questions)
