"""What a reader of a gate's result must know besides the words: how much could have been seen, and what was compared
with what.
"""

from dataclasses import replace

from bench.analysis.words import plural
from bench.gate.baseline import NO_SEAL, Baseline
from bench.gate.environment import Environment, differences
from bench.gate.pairs import ENOUGH, Rule
from bench.gate.tonight import Tonight
from bench.gate.verdict import COMPARED, GateResult


def with_notes(result: GateResult, more: list[str]) -> GateResult:
    return replace(result, notes=(*_power(result), *more))


def _power(result: GateResult) -> list[str]:
    compared = result.of(COMPARED)
    if not compared:
        return ["No cell could be compared, so nothing is known about tonight."]
    counts = sorted({verdict.n for verdict in compared})
    repeats = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    what = "pairs" if result.method == "pairs" else "repeats"
    notes = [
        f"{plural(len(compared), 'cell')} compared by {repeats} {what} each: regressed means surely more than "
        f"{result.margin:g} points worse."
    ]
    if result.method == "pairs" and counts[0] < ENOUGH:
        notes.append(f"Some cells have fewer than {ENOUGH} pairs: their noise is hardly known, only large drops show.")
    return notes


def on_baseline(baseline: Baseline, tonight: Tonight, rule: Rule) -> list[str]:
    notes = on_tonight(tonight)
    if not baseline.is_sealed:
        notes.append(f"The baseline is {NO_SEAL}.")
    if baseline.allowed:
        notes.append(f"The baseline was accepted in spite of this: {', '.join(baseline.allowed)}.")
    return notes + _pretrained(baseline, tonight) + across([baseline.environment], tonight, rule)


def _pretrained(baseline: Baseline, tonight: Tonight) -> list[str]:
    known = {(row.cell, row.repeat): row.weights for row in baseline.rows}
    moved = {
        cell.name for cell in tonight.cells if len({row.weights for row in cell.rows}) == 1 for row in cell.rows
        if None not in (row.weights, old := known.get((cell.name, row.repeat))) and row.weights != old
    }  # fmt: skip
    if not moved:
        return []
    return [
        f"{plural(len(moved), 'cell')} had other pretrained weights than the baseline's. All repeats of a cell share "
        "that one draw, and their spread knows nothing of its chance: a pretraining that only rounds otherwise can "
        "move a cell by points."
    ]


def across(before: list[Environment], tonight: Tonight, rule: Rule) -> list[str]:
    pairs = [(old, origin.environment) for old in before for origin in tonight.origins]
    differ = dict.fromkeys(text for old, new in pairs for text in differences(old, new))
    if not differ or not rule.across_environments:
        return []
    return [f"Compared across environments, which moves numbers by itself: {', '.join(differ)}."]


def on_tonight(tonight: Tonight) -> list[str]:
    notes = []
    if tonight.stand_ins:
        notes.append(f"STAND-IN: nothing here was measured on what the suite names ({'; '.join(tonight.stand_ins)}).")
    codes = {origin.code for origin in tonight.origins}
    if len(codes) > 1:
        notes.append(
            f"Tonight's records were made by {len(codes)} versions of the code; those of an older one say nothing "
            "about the code of tonight."
        )
    return notes


def facts(baseline: Baseline, tonight: Tonight) -> dict[str, str]:
    found = {
        "baseline accepted": baseline.accepted,
        "baseline commit": _named(baseline.commit, baseline.dirty),
        "baseline code": baseline.code or "unknown",
        "baseline environment": str(baseline.environment),
        **({"lineage since": baseline.since} if baseline.since is not None else {}),
    }
    return found | facts_of(tonight)


def facts_of(tonight: Tonight) -> dict[str, str]:
    commits = dict.fromkeys(_named(origin.commit, origin.dirty) for origin in tonight.origins)
    codes = dict.fromkeys(origin.code or "unknown" for origin in tonight.origins)
    environments = dict.fromkeys(str(origin.environment) for origin in tonight.origins)
    return {
        "tonight's commit": "; ".join(commits),
        "tonight's code": "; ".join(codes),
        "tonight's environment": "; ".join(environments),
    }


def _named(commit: str | None, dirty: bool | None) -> str:
    return (commit or "none") + (" and changes that are in no commit" if dirty else "")
