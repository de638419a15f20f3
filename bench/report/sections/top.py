"""Above everything: what was found, how much there is, what to be warned of."""

from typing import Any

from bench.analysis.cells import collapse_text, once, task_of
from bench.analysis.headline import headline, in_claims, more
from bench.analysis.pitfalls import in_a_sentence
from bench.analysis.tables import feature_seconds
from bench.analysis.transferability import verdict
from bench.analysis.words import listed, plural, shortened
from bench.report.facts import Facts, unique
from bench.report.sections.protocol import part
from bench.report.view import duration

LISTED = 8  # cells in one sentence
CODE = {"code", "commit", "dirty"}  # of an environment


def findings(facts: Facts) -> list[str]:
    """The answer."""
    if facts.studies:
        stated = [in_claims(facts.claims)] if facts.claims else []
        return [*(verdict(study, facts.results.margin) for study in facts.studies), *stated]
    mistakes = [in_a_sentence(facts.pitfalls)] if facts.pitfalls else []
    return [*headline(facts.results, facts.findings), *mistakes]


def remarks(facts: Facts) -> list[str]:
    """What else the reader must know, below the answer and the warnings."""
    told = [] if facts.studies else more(facts.findings)
    return [*told, *([f"Intervals are at 95 %, {facts.scope}"] if facts.counts.ok and _has_repeats(facts) else [])]


def _has_repeats(facts: Facts) -> bool:
    return facts.results.finals["repeat"].nunique() > 1


def key_numbers(facts: Facts) -> str:
    """How much stands behind the page."""
    results = facts.results
    finished = sum(bool(row["complete"]) for row in facts.summary)
    frames = (results.every_final, results.every_trial, results.pretrainings)
    seconds = sum(float(once(frame)["seconds"].sum()) for frame in frames)
    seconds += sum(feature_seconds(results).values())
    trials = sorted({int(row["num_trials"]) for row in facts.summary if row["n"]} - {0})
    span = "none" if not trials else str(trials[0]) if len(trials) == 1 else f"{trials[0]} to {trials[-1]}"
    repeats = int(results.finals["repeat"].nunique())
    halved = ", halved as they go" if results.trials["pruned"].any() else ""
    return (
        f"{facts.counts.ok:,} of {plural(facts.counts.planned, 'training')} finished, {duration(seconds)} in all; "
        f"{finished:,} of {len(facts.summary):,} pairs of task and strategy complete; {plural(repeats, 'repeat')} "
        f"({_what_is_new(facts)}); trials in a search: {span}{halved}."
    )


def _what_is_new(facts: Facts) -> str:
    if facts.results.lists:
        return "labels and splits of a list where the suite names one, new start each"
    shared = _shares_labels(facts)
    if all(shared):
        return "the same labels, new split and start each"
    return f"new labels{' (but for “all”)' if any(shared) else ''}, split and start each"


def _shares_labels(facts: Facts) -> list[bool]:
    """Of each final, whether all repeats of its task learn from the same labels: all that there are, of one split."""
    finals = facts.results.finals
    return list((finals["budget"] == "full") & ~(finals["test_overlap"] < 1))


def warnings(facts: Facts) -> list[str]:
    """Full sentences, most important first; notes of the results come before our own."""
    counts, results = facts.counts, facts.results
    found = [*results.overlaps, *results.refusals, *results.notes]
    if counts.missing:
        found.append(
            f"{counts.missing:,} of {plural(counts.planned, 'training')} missing: the numbers below are not final."
        )
    if counts.broken:
        found.append(f"{plural(counts.broken, 'training')} failed or diverged; the section on gaps names them.")
    found += _collapsed(facts)
    if counts.diverged_trials:
        found.append(
            f"{plural(counts.diverged_trials, 'trial')} of the searches diverged: a rate that is too high does that, "
            "and the search counts it as worst."
        )
    if results.damaged:
        found.append(f"{plural(len(results.damaged), 'record file')} could not be read and counted as absent.")
    edges = [row for row in facts.summary if row["lr_edge"]]
    if edges:
        names = unique(row["strategy"] for row in edges)
        found.append(
            f"In {plural(len(edges), 'cell')} the chosen learning rate is the lowest or highest that was tried, so a "
            f"longer search may score higher: {listed(names)}."
        )
    if names := unique(row["strategy"] for row in facts.summary if row["penalty_edge"]):
        found.append(
            "What a closed form searches, its penalty or the number of neighbours, was chosen at an end of its range "
            f"in {plural(sum(bool(row['penalty_edge']) for row in facts.summary), 'cell')}: {listed(names)}."
        )
    if results.finals["repeat"].nunique() == 1:
        found.append("One repeat only: no interval can be given, and no difference can be told from chance.")
    elif 3 <= results.finals["repeat"].nunique() < 5:  # a note of the results speaks of fewer
        found.append("Fewer than 5 repeats: intervals are wide, and many real differences stay undecided.")
    if part(results.suite, "search").get("scope") == "cell" and _has_repeats(facts):
        found.append(
            "One search on the labels of repeat 0 chose the rates of all repeats: intervals and verdicts hold for "
            "these rates, and another search could choose others."
        )
    if _has_repeats(facts) and any(_shares_labels(facts)):
        found.append(
            f"With all labels the repeats learn from the same {facts.example}s: they differ in order, and in what "
            "starts at random, and nothing there speaks of other labels."
        )
    if len(results.provenance) > 1:
        found.append(_environments(results.provenance))
    return found


def _environments(provenance: list[dict[str, Any]]) -> str:
    names = {name for environment in provenance for name in environment} - {"records"}
    differing = {name for name in names if any(one.get(name) != provenance[0].get(name) for one in provenance)}
    if differing <= CODE:
        return f"The code changed while this suite ran: {len(provenance)} versions of it wrote records."
    return f"Records come from {len(provenance)} different environments; see provenance before comparing costs."


def _collapsed(facts: Facts) -> list[str]:
    """What no mean shows: that a strategy works or breaks."""
    cells = [row for row in facts.summary if row["num_collapsed"]]
    if not cells:
        return []
    named = [f"{shortened(row['strategy'])} on {facts.where(task_of(row))}: {collapse_text(row)}" for row in cells]
    more = f"; and {len(cells) - LISTED} more cells" if len(cells) > LISTED else ""
    count = plural(sum(row["num_collapsed"] for row in cells), "final has", "finals have")
    kept = "Means keep these repeats."
    if facts.studies:
        kept = "The study leaves out such repeats of a cell, unless all of them collapsed."
    return [
        f"{count} collapsed: at the end the network does no better than a uniform guess on the very {facts.example}s "
        f"that it learned from. {kept} {'; '.join(named[:LISTED])}{more}."
    ]
