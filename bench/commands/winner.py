"""`bench winner`: the network that a suite recommends, trained again and written for use elsewhere."""

import re
from pathlib import Path

from bench.analysis.join import collect
from bench.commands.export import put
from bench.commands.output import as_json, note, say
from bench.commands.suites import Folders, plan_of, recalled
from bench.errors import INCOMPLETE
from bench.memory import collection
from bench.planning.plan import Plan
from bench.suite.shipped import is_file_name
from bench.winner.choice import Choice, Wanted, choose

EXPORTS = Path("exports")


def write_winner(suite: str, wanted: Wanted, folder: Path | None, folders: Folders, json: bool) -> int:
    """The exit code: what was written may not be the network of the record, and then it is told."""
    plan = plan_of(suite, (), folders) if is_file_name(suite) else recalled(suite, folders, looks=True)
    name = plan.loaded.suite.name
    roots = folders.roots(name)
    choice = choose(plan, collect(plan, roots.store, roots.shared), wanted)
    note(choice.sentence or "The page recommends nothing for this task.")
    from bench.winner.package import package  # with torch

    with collection(True):  # it trains
        made = package(plan, choice, wanted.repeat, roots)
    paths = [str(path) for path in put(made.files, folder or _folder_of(plan, choice, wanted))]
    if json:
        cell, found = choice.cell, made.check
        as_json({
            "files": paths, "dataset": cell.dataset, "budget": cell.budget.text, "backbone": cell.backbone,
            "strategy": cell.strategy, "is_recommended": choice.is_recommended, "repeat": wanted.repeat,
            "record": made.record.key, "score": found.score, "recorded_score": found.recorded,
            "other_answers": found.others, "built_by": made.described.built_by,
        })  # fmt: skip
    else:
        for path in paths:
            say(f"winner: {path}")
        say(made.check.sentence)
    if not made.check.is_same:
        note(made.check.sentence)
    return 0 if made.check.is_same else INCOMPLETE


def _folder_of(plan: Plan, choice: Choice, wanted: Wanted) -> Path:
    """One for each network that may be asked for."""
    told = [choice.cell.task] if len({cell.task for cell in plan.cells}) > 1 else []
    told += [name for name in (wanted.strategy, wanted.backbone) if name is not None]
    told += [f"repeat {wanted.repeat}"] if wanted.repeat else []
    names = [re.sub(r"[^A-Za-z0-9_.+-]+", "_", name).strip("_.") for name in told]
    return EXPORTS / plan.loaded.suite.name / "-".join(["winner", *names])
