"""Which cell's network a person gets: what the page's decision says of the task, unless they name a strategy."""

from dataclasses import dataclass

from bench.analysis.cells import Row, cell_summary, has_collapsed, records
from bench.analysis.comparison import Scores
from bench.analysis.decision import Option, Question, decisions
from bench.analysis.decision_words import what_to_take
from bench.analysis.frame import SuiteResults
from bench.errors import INCOMPLETE, BenchError, unknown
from bench.planning.plan import Cell, Plan


class NoScore(BenchError):
    """The repeat that is wanted did not come to a network worth having."""

    exit_code = INCOMPLETE


@dataclass(frozen=True)
class Wanted:
    """As typed; None: not said."""

    task: str | None = None  # DATASET@BUDGET
    strategy: str | None = None
    backbone: str | None = None
    repeat: int = 0


@dataclass(frozen=True)
class Choice:
    cell: Cell
    summary: Row  # of the cell
    sentence: str  # what the page says of the task; "": nothing
    is_recommended: bool  # by that sentence

    @property
    def name(self) -> str:
        return f"{self.cell.strategy} on {self.cell.backbone} for {self.cell.task}"


def choose(plan: Plan, results: SuiteResults, wanted: Wanted) -> Choice:
    """Raises BenchError where what is typed names nothing, or more than one."""
    summary = records(cell_summary(results.finals))
    found = decisions(results, Scores.of(results.finals), summary)
    question = _question(plan, wanted.task)
    one = next((one for one in found.tasks if one.questions == [question]), None)
    cells = {(cell.backbone, cell.strategy): cell for cell in plan.without_mistakes().cells if _asks(cell) == question}
    option = _option(cells, one.taken if one is not None else None, wanted)
    cell = cells[option]
    _check_repeat(cell, results, wanted.repeat)
    row = next(row for row in summary if (*_asks(cell), *option) == tuple(
        row[name] for name in ("dataset", "budget", "backbone", "strategy")))  # fmt: skip
    sentence = what_to_take(found, one) if one is not None else ""
    return Choice(cell, row, sentence, one is not None and one.taken == option)


def _asks(cell: Cell) -> Question:
    return cell.dataset, cell.budget.text


def _question(plan: Plan, typed: str | None) -> Question:
    known = {f"{dataset}@{budget}": (dataset, budget) for dataset, budget in map(_asks, plan.cells)}
    if typed is None:
        if len(known) > 1:
            raise BenchError(f"this suite has {len(known)} tasks; choose one with --task: {', '.join(known)}")
        return next(iter(known.values()))
    dataset, at, budget = typed.rpartition("@")
    name = f"{dataset.strip()}{at}{budget.strip()}"
    if name not in known:
        raise BenchError(f"--task {typed}: {unknown('task', name, known)}")
    return known[name]


def _option(cells: dict[Option, Cell], taken: Option | None, wanted: Wanted) -> Option:
    """What is typed goes before what the decision takes."""
    for axis, name, place in (("backbone", wanted.backbone, 0), ("strategy", wanted.strategy, 1)):
        names = sorted({option[place] for option in cells})
        if name is not None and name not in names:
            raise BenchError(f"--{axis} {name}: {unknown(axis, name, names)}")
    fits = [option for option in cells
            if wanted.backbone in (None, option[0]) and wanted.strategy in (None, option[1])]  # fmt: skip
    if taken in fits:
        return taken
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise BenchError(f"no cell of that task has {wanted.strategy} on {wanted.backbone}")
    if wanted.strategy is None:
        why = "the decision takes another network" if taken is not None else "nothing is recommended for this task yet"
        raise BenchError(f"{why}; choose with --strategy: {', '.join(dict.fromkeys(option[1] for option in fits))}")
    if taken is not None and (taken[0], wanted.strategy) in fits:
        return taken[0], wanted.strategy
    raise BenchError(f"choose a network with --backbone: {', '.join(option[0] for option in fits)}")


def _check_repeat(cell: Cell, results: SuiteResults, repeat: int) -> None:
    if not 0 <= repeat < len(cell.finals):
        raise BenchError(f"--repeat {repeat}: this suite has repeats 0 to {len(cell.finals) - 1}")
    row = next(row for row in records(results.finals)
               if (row["dataset"], row["budget"], row["backbone"], row["strategy"], row["repeat"])
               == (*_asks(cell), cell.backbone, cell.strategy, repeat))  # fmt: skip
    name, status = f"repeat {repeat} of {cell.strategy} for {cell.task}", row["status"]
    if status == "missing":
        raise NoScore(f"{name} has no record yet; `python -m bench run {results.name}` makes it")
    if status != "ok":
        raise NoScore(f"{name} has no score ({status}{': ' + row['error'] if row['error'] else ''}); "
                      "choose another one with --repeat or --strategy")  # fmt: skip
    if has_collapsed(row):
        raise NoScore(f"{name} collapsed: its network does no better than a guess on its own training examples; "
                      "choose another one with --repeat or --strategy")  # fmt: skip

