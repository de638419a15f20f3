"""The gate for GitHub Actions: annotations, and a summary in Markdown.

Annotations are workflow commands, lines of the log that the runner obeys; nothing a user wrote may become one.
"""

from collections.abc import Collection
from pathlib import Path

from bench.analysis.words import plural, shortened
from bench.errors import BLIND, StoreError
from bench.gate.outputs.sentences import (
    ABSENT,
    ATTENTION,
    HELD,
    METHODS,
    caught,
    cell_name,
    chance,
    cost_numbers,
    cost_reading,
    drop,
    fails,
    interval,
    mean_reading,
    name,
    ordered,
    reading,
    reasons,
    repeats,
    sentence,
    share,
    sight,
    signed,
    some,
)
from bench.gate.verdict import COMPARED, WORDS, GateResult, Verdict
from bench.store.atomic import explain
from bench.text import printable

SHOWN = 9  # GitHub shows 10 annotations of a kind; the tenth says how many there are
MOST_BYTES = 900_000  # of a summary: GitHub drops one of more than 1024 kB
FILE_BYTES = 1_000_000  # of all summaries of one step, which share a file
SAID = 20  # notes, and facts, of a summary
# As numbers they are characters of the text, never structure: https://spec.commonmark.org/0.31.2/#entity-references
ENTITIES = {ord(c): f"&#{ord(c)};" for c in "\\`*_~{}[]<>&|#$:@!"}


def annotations(result: GateResult) -> list[str]:
    """Lines to print as they are; errors first."""
    errors = [_line("error", cell_name(v.cell), reading(result, v)) for v in ordered(result, WORDS) if fails(result, v)]
    errors += [_line("error", name(cost.name), cost_reading(cost)) for cost in result.costs if cost.word == "slower"]
    if result.mean is not None and fails(result, result.mean):
        errors.insert(0, _line("error", f"gate of {name(result.suite)}", mean_reading(result)))
    if result.exit_code == BLIND:
        errors.insert(0, _line("error", f"gate of {name(result.suite)}", sentence(result)))
    warnings = [_line("warning", f"gate of {name(result.suite)}", sight(result))] if _warns(result) else []
    quiet = [v for v in ordered(result, ("regressed", "missing")) if not fails(result, v)]
    warnings += [_line("warning", cell_name(v.cell), reading(result, v)) for v in quiet]
    incomparable = [v for v in result.of(["incomparable"]) if not fails(result, v)]
    for reason, verdicts in reasons(incomparable).items():
        why = f": {name(reason, 500)}" if reason else ""
        warnings.append(_line("warning", f"{plural(len(verdicts), 'cell')} incomparable{why}", some(verdicts)))
    return [*_first("error", errors), *_first("warning", warnings)]


def _warns(result: GateResult) -> bool:
    """Of a few cells that it could not see; of more, the gate is not green, which the sentence says."""
    return bool(result.blind) and result.exit_code != BLIND


def _first(kind: str, lines: list[str]) -> list[str]:
    if len(lines) <= SHOWN:
        return lines
    return [*lines[:SHOWN], _line(kind, "gate", f"and {len(lines) - SHOWN} more, in the job's summary and log")]


def _line(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={escaped_property(title)}::{escaped_data(message)}"


def escaped_data(text: str) -> str:
    """As GitHub's toolkit does it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    return escaped_data(text).replace(":", "%3A").replace(",", "%2C")


def markdown(text: str, most: int = 300) -> str:
    """A user's text as text, in one line: in a table, a list, or between tags."""
    return shortened(printable(text), most).translate(ENTITIES)


def summary(result: GateResult) -> str:
    """Markdown below MOST_BYTES; rows that do not fit are counted."""
    head = [f"### {markdown(result.suite)}: {sentence(result)}", "", *_facts(result), ""]
    first, rest = ordered(result, ATTENTION), ordered(result, HELD)
    room = MOST_BYTES - _size(head) - 2_000  # of what stands around the rows
    rows = _fitting([_row(verdict) for verdict in first], room)
    parts = [*head, *_table(rows, len(first))]
    room -= _size(rows)
    costs = [cost for cost in result.costs if cost.word != "same"]
    told = _fitting([f"- {markdown(c.name)}: {c.quantity} {c.word}, {cost_numbers(c)}" for c in costs], room)
    parts += [*told, *_left_out(len(costs) - len(told), "cost"), ""]
    room -= _size(told)
    if rest:
        rows = _fitting([_row(verdict) for verdict in rest], room)
        title = f"{plural(len(rest), 'cell')} held: equivalent or identical"
        parts += ["<details>", f"<summary>{title}</summary>", "", *_table(rows, len(rest)), "</details>", ""]
    return "\n".join(parts) + "\n"


def _facts(result: GateResult) -> list[str]:
    lines = [
        f"- repeats: {repeats(result)}; margin: {result.margin:g} points; smallest drop that would have been caught: "
        f"{caught(result)}",
        f"- compared: {METHODS[result.method]}; baseline: {markdown(result.baseline)}",
    ]
    lines += [f"- {markdown(mean_reading(result), 1000)}"] if result.mean is not None else []
    facts = list(result.facts.items())
    lines += [f"- {markdown(key)}: {markdown(value)}" for key, value in facts[:SAID]]
    lines += _left_out(len(facts) - SAID, "fact")
    notes = [f"- **Note**: {markdown(note, 1000)}" for note in result.notes[:SAID]]
    if result.blind and result.of(COMPARED):
        notes.insert(0, f"- **Warning**: {sight(result)}")
    return [*notes, *_left_out(len(result.notes) - SAID, "note"), *lines]


def _table(rows: list[str], count: int) -> list[str]:
    if not count:
        return []
    head = "| Cell | Verdict | Before % | After % | Change, points | n | p | Smallest drop |"
    return [head, "|:--|:--|--:|--:|--:|--:|--:|--:|", *rows, "", *_left_out(count - len(rows), "row")]


def _row(verdict: Verdict) -> str:
    cell = verdict.cell
    names = f"{markdown(cell.dataset, 60)} @ {markdown(cell.budget, 60)} · {markdown(cell.backbone, 60)}"
    why = f": {markdown(verdict.reason)}" if verdict.reason else ""
    measured = verdict.word in COMPARED
    span = f" ({interval(verdict)})" if interval(verdict) else ""
    bold = "**" if verdict.word in ("regressed", "missing") else ""
    texts = [
        f"{names} · **{markdown(cell.strategy, 60)}**",
        f"{bold}{verdict.word}{bold}{why}",
        share(verdict.before),
        share(verdict.after),
        f"{signed(verdict.change)}{span}",
        str(verdict.n) if measured else ABSENT,
        chance(verdict.p).replace("<", "&lt;"),
        drop(verdict.smallest),
    ]
    return f"| {' | '.join(texts)} |"


def _fitting(lines: list[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= _size([line])
        if room < 0:
            break
        kept.append(line)
    return kept


def _left_out(count: int, what: str) -> list[str]:
    return [f"- {plural(count, what)} left out", ""] if count > 0 else []


def _size(lines: Collection[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def append_summary(path: Path, text: str) -> None:
    """For `$GITHUB_STEP_SUMMARY`. A file that is too large is dropped whole, so what would make it so is left out."""
    size = len(text.encode())
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            if file.tell() + size > FILE_BYTES:
                title = printable(text.partition("\n")[0])[:2000]
                text = f"{title}\n\nThe rest of this summary ({size:,} bytes) was left out: the step's is full.\n"
            file.write(text)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {explain(error)}") from error
