"""`bench compare`: two suites that have run, or one in two results folders."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.output import as_json, note, say, table
from bench.commands.suites import Folders, plan_of, ran_otherwise
from bench.errors import NOTHING, BenchError

if TYPE_CHECKING:
    from bench.analysis.between import Between, Side

SHOWN = 10  # settings in the terminal


@dataclass(frozen=True)
class CompareOptions:
    first: str  # a suite's file, or the name of one that ran
    second: str | None  # None: the first, in the other folder
    folders: Folders
    results_second: Path | None  # None: the first's
    margin: float | None  # points
    json: bool


def compare(options: CompareOptions) -> int:
    from bench.analysis.between import OTHER_TEST, between
    from bench.report import replace_page
    from bench.report.compare import build_compare, findings

    second = options.second or options.first
    if options.results_second is None and second == options.first:
        raise BenchError("compare needs two suites, or one and its second folder: compare A B, or "
                         "compare A --results-b DIR")
    there = options.folders
    other = Folders(options.results_second or there.results, there.reports)
    sides = [_side(name, folders, options.results_second is not None)
             for name, folders in ((options.first, there), (second, other))]
    found = between(sides[0], sides[1], None if options.margin is None else options.margin / 100)
    names = [side.results.name for side in sides]
    page = there.reports / f"{names[0]}.against.{names[1]}.html"
    replace_page(page, build_compare(found))
    if options.json:
        as_json({**asdict(found), "page": str(page)})
    else:
        _print(found, findings(found))
        say(f"page: {page}")
    return 0 if any(one.word != OTHER_TEST for one in found.cells) else NOTHING


def _side(suite: str, folders: Folders, with_folder: bool) -> "Side":
    from bench.analysis.between import Side
    from bench.analysis.join import collect

    plan = plan_of(suite, (), folders)
    if hint := ran_otherwise(suite, plan, folders):
        note(hint)
    name = plan.loaded.suite.name
    roots = folders.roots(name)
    label = f"{name} in {folders.results}" if with_folder else name
    return Side(label, plan, collect(plan, roots.store, roots.shared))


def _print(found: "Between", sentences: list[str]) -> None:
    for sentence in sentences:
        say(sentence)
    rows = [
        [
            f"{one.cell[0]} @ {one.cell[1]} · {one.cell[2]}", one.cell[3], one.word, _points(one.first),
            _points(one.second), _change(one.difference, one.low, one.high), str(one.n), _points(one.detectable),
            one.reason,
        ]
        for one in found.cells
    ]  # fmt: skip
    if rows:
        table(["task", "strategy", "B is", "A %", "B %", "points", "n", "detectable", ""], rows)
    for side, names in (("A", found.only_first), ("B", found.only_second)):
        for name in names:
            say(f"only in {side}: {' · '.join(name)}")
    every = [*found.settings, *found.environments]
    for one in every[:SHOWN]:
        say(f"differs: {one.name}: {one.first} -> {one.second}")
    if len(every) > SHOWN:
        say(f"differs: {len(every) - SHOWN} more, on the page")


def _points(share: float) -> str:
    return f"{100 * share:.1f}" if math.isfinite(share) else "-"


def _change(difference: float, low: float, high: float) -> str:
    if not math.isfinite(difference):
        return "-"
    span = f" ({100 * low:+.1f} to {100 * high:+.1f})" if math.isfinite(low) else ""
    return f"{100 * difference:+.1f}{span}"
