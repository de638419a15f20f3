"""`bench gate`: measure this code, hold it against a baseline, say what moved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from bench.commands.gate_outputs import Outputs, tell
from bench.commands.measure import Planned, planned
from bench.commands.output import note
from bench.commands.run import RunOptions
from bench.errors import BenchError, nearest
from bench.gate.verdict import WORDS, GateResult, Word

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline
    from bench.gate.pairs import Rule
    from bench.gate.tonight import Tonight

W = TypeVar("W", bound=str)

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
    from bench.gate.costs import compare_benchmarks

    words = chosen("--fail-on", filter(None, (part.strip() for part in options.fail_on.split(","))), WORDS)
    if options.fresh and options.reuse:
        raise BenchError("--fresh measures again, --reuse takes what is there: give one of them")
    if options.outputs.json and options.outputs.github:
        raise BenchError("--json prints one value and nothing else, --github prints lines: give one of them")
    costs = compare_benchmarks(*options.benchmarks) if options.benchmarks is not None else []
    asked = planned(options.run, options.reuse)
    before = _before(asked.suite, options)
    if options.fresh:
        asked.empty()
    measured = asked.trained()
    result = _judged(measured.tonight, before, options, rule_of(asked, options, words))
    result = replace(result, costs=(*result.costs, *costs), notes=(*result.notes, *measured.notes))
    accepted = before[0] if options.method == "pairs" else None
    # A night that measured nothing, or something else than the suite says, is none to compare others with.
    is_night = measured.trainings > 0 and not options.run.overrides
    outputs = replace(options.outputs, keep=options.outputs.keep and is_night)
    roots = replace(asked.folders.roots(asked.suite), seen=measured.seen)
    return tell(result, measured.tonight, accepted, (asked.plan, roots, asked.folders, outputs))


def chosen(option: str, names: Iterable[str], known: Sequence[W]) -> tuple[W, ...]:
    """The known words that were typed after an option. Raises BenchError for any other."""
    found: list[W] = []
    for name in names:
        word = next((one for one in known if one == name), None)
        if word is None:
            close = nearest(name, known, limit=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BenchError(f"{option} {name}: expected one of {', '.join(known)}{hint}")
        found.append(word)
    return tuple(found)


def baseline_file(suite: str, results: Path, given: Path | None = None) -> Path:
    return given or results / BASELINES / f"{suite}.json"


def _before(suite: str, options: GateOptions) -> "list[Baseline]":
    """What tonight is held against: one baseline, or the nights that were kept."""
    from bench.gate import history
    from bench.gate.compare import OtherSuite

    if options.method == "history":
        kept = history.nights(options.outputs.history, suite)
        for line in kept.notes:
            note(line)
        if len(kept.nights) < history.ENOUGH:
            raise BenchError(f"--method history needs {history.ENOUGH} nights, {options.outputs.history / suite} has "
                             f"{len(kept.nights)}; each gate keeps one")
        return list(kept.nights)
    path = baseline_file(suite, options.run.folders.results, options.baseline)
    found = read_baseline(path, options.run.suite)
    if found.suite != suite:
        raise OtherSuite(f"{path} is of the suite {found.suite!r}, not of {suite!r}")
    return [found]


def read_baseline(path: Path, suite: Path) -> "Baseline":
    """`suite`: its file. Raises BenchError, which says how to make a baseline that can be read."""
    from bench.gate import baseline

    accept = f"`python -m bench baseline accept {suite}`"
    try:
        return baseline.read(path)
    except baseline.NoBaseline as error:
        raise BenchError(f"{error}; {accept} makes one") from None
    except baseline.BadBaseline as error:
        raise BenchError(f"{error}; accept the baseline anew: {accept}") from None


def rule_of(asked: Planned, options: GateOptions, words: tuple[Word, ...]) -> "Rule":
    from bench.gate.pairs import Rule

    suite = asked.plan.loaded.suite.gate
    return Rule(
        margin=suite.margin if options.margin is None else options.margin,
        must_see=suite.must_see if options.must_see is None else options.must_see,
        fail_on=words,
        across_environments=options.across_environments,
    )


def _judged(tonight: "Tonight", before: "list[Baseline]", options: GateOptions, rule: "Rule") -> GateResult:
    from bench.gate.compare import compare
    from bench.gate.costs import compare_costs
    from bench.gate.history import compare_with_history

    if options.method == "history":
        result = compare_with_history(before, tonight, rule, str(options.outputs.history / tonight.suite))
    else:
        file = baseline_file(tonight.suite, options.run.folders.results, options.baseline)
        result = compare(before[0], tonight, rule, str(file))
    return replace(result, costs=tuple(compare_costs(before[-1], tonight))) if options.timing else result
