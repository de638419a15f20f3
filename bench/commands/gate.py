"""`bench gate`: measure this code, hold it against a baseline, say what moved."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.commands.gate_outputs import Outputs, tell
from bench.commands.output import note
from bench.commands.run import RunOptions, plan_with_all_it_needs, train
from bench.commands.suites import Folders
from bench.errors import BenchError, nearest
from bench.gate.verdict import WORDS, GateResult, Word
from bench.gate.workplace import workplace
from bench.provenance import describe

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline
    from bench.gate.tonight import Tonight
    from bench.plan.plan import Plan

BASELINES, HISTORY = "baselines", "history"


@dataclass(frozen=True)
class GateOptions:
    run: RunOptions  # its folders are those that people see; the gate measures in one of its own
    outputs: Outputs
    baseline: Path | None = None  # unset: results/baselines/<suite>.json
    method: Literal["pairs", "history"] = "pairs"
    margin: float | None = None  # unset: the suite's
    must_see: float | None = None
    fail_on: str = "regressed,missing"
    across_environments: bool = False
    reuse: bool = False  # take what `bench run` has left, whoever made it
    fresh: bool = False  # measure again what this code has measured
    timing: bool = False  # the second gate
    benchmarks: tuple[Path, Path] | None = None  # pytest-benchmark's files, before and tonight


def gate(options: GateOptions) -> int:
    """The exit code. What can be refused is refused before the first training."""
    words = parse_words(options.fail_on)
    if options.fresh and options.reuse:
        raise BenchError("--fresh measures again, --reuse takes what is there: give one of them")
    folders = measured_in_place(options.run.folders, options.reuse)
    plan, _ = plan_with_all_it_needs(replace(options.run, folders=folders))
    before = _before(plan.loaded.suite.name, options)
    if options.fresh:
        _empty(folders)
    summary = train(plan, plan, replace(options.run, folders=folders))
    if summary.stopped_by is not None:
        note("stopped; run the same command again to go on")
        return 128 + summary.stopped_by
    result, tonight = _judged(plan, before, (options, folders, words))
    accepted = before[0] if options.method == "pairs" else None
    return tell(result, tonight, accepted, (plan, folders, options.outputs))


def measured_in_place(folders: Folders, reuse: bool) -> Folders:
    """Where this code's records lie; the pages go where they always go."""
    return folders if reuse else replace(folders, results=workplace(folders.results, describe()))


def _empty(folders: Folders) -> None:
    for path in folders.results.iterdir():
        shutil.rmtree(path, ignore_errors=True)


def parse_words(text: str) -> tuple[Word, ...]:
    found: list[Word] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        word = next((one for one in WORDS if one == name), None)
        if word is None:
            close = nearest(name, WORDS, limit=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BenchError(f"--fail-on {name}: expected words out of {', '.join(WORDS)}{hint}")
        found.append(word)
    return tuple(found)


def baseline_file(suite: str, results: Path, given: Path | None = None) -> Path:
    return given or results / BASELINES / f"{suite}.json"


def _before(suite: str, options: GateOptions) -> "list[Baseline]":
    """What tonight is held against: one baseline, or the nights that were kept."""
    from bench.gate import baseline, history

    if options.method == "history":
        kept = history.nights(options.outputs.history, suite)
        for line in kept.damaged:
            note(line)
        if len(kept.nights) < history.ENOUGH:
            raise BenchError(f"--method history needs {history.ENOUGH} nights, {options.outputs.history / suite} has "
                             f"{len(kept.nights)}; each gate keeps one")
        return list(kept.nights)
    path = baseline_file(suite, options.run.folders.results, options.baseline)
    try:
        return [baseline.read(path)]
    except baseline.NoBaseline as error:
        raise BenchError(f"{error}; `python -m bench baseline accept {options.run.suite}` makes one") from None


def _judged(
    plan: "Plan", before: "list[Baseline]", how: tuple[GateOptions, Folders, tuple[Word, ...]]
) -> "tuple[GateResult, Tonight]":
    from bench.gate.compare import compare
    from bench.gate.costs import compare_benchmarks, compare_costs
    from bench.gate.history import compare_with_history
    from bench.gate.pairs import Rule
    from bench.gate.tonight import tonight_of

    options, folders, words = how
    roots = folders.roots(plan.loaded.suite.name)
    tonight = tonight_of(plan, {**roots.shared.scan()[0], **roots.store.scan()[0]})
    asked = plan.loaded.suite.gate
    rule = Rule(
        margin=asked.margin if options.margin is None else options.margin,
        must_see=asked.must_see if options.must_see is None else options.must_see,
        fail_on=words,
        across_environments=options.across_environments,
    )
    if options.method == "history":
        result = compare_with_history(before, tonight, rule, str(options.outputs.history / tonight.suite))
    else:
        result = compare(before[0], tonight, rule, str(baseline_file(tonight.suite, options.run.folders.results,
                                                                     options.baseline)))  # fmt: skip
    costs = compare_costs(before[-1], tonight) if options.timing else []
    if options.benchmarks is not None:
        costs += compare_benchmarks(*options.benchmarks)
    return replace(result, costs=tuple(costs)), tonight
