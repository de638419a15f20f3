"""A list of examples that a suite names, held against its data set: at planning by sizes, before the first training by
content. `datasets/split_lists.py` reads it."""

from collections.abc import Callable, Iterable

import numpy as np

from bench.datasets.base import Dataset, DatasetFacts
from bench.datasets.files import DataError, listed
from bench.datasets.sampling import Division
from bench.datasets.split_lists import POOL, Entry, Listed, SplitList, TaskList, parse, places, read
from bench.errors import SuiteError
from bench.keys import digest
from bench.places import find_file, near_file
from bench.planning.plan import Plan
from bench.planning.problems import Loc, Problems
from bench.spec.refs import DataRef, LabelBudget
from bench.suite.schema import DatasetSpec, Suite

Sizes = tuple[int, int]  # of training and test split
SHOWN = 3  # examples that a message names


def lists_of(
    suite: Suite, of: tuple[DatasetSpec, DatasetFacts], loc: Loc, problems: Problems
) -> list[tuple[LabelBudget, TaskList]]:
    """Each label budget with what the list says of it."""
    spec, facts = of
    at = (*loc, "splits")
    try:
        found = _opened(spec, problems)
    except DataError as error:
        problems.add(at, str(error))
        return []
    problems.finds.lists[str(spec.splits)] = found.text
    asked = [budget.text for budget in budgets_in(spec)] or found.budgets
    if unknown := [budget for budget in asked if budget not in found.budgets]:
        problems.add(at, f"{found.name}: no list for budget {listed(map(repr, unknown))}; it has "
                         f"{listed(map(repr, found.budgets))}")
        return []
    tasks = []
    for budget in asked:
        try:
            tasks.append((LabelBudget.of(budget), of_budget(suite, (str(spec.splits), found), budget, facts)))
        except DataError as error:
            problems.add(at, str(error))
    return tasks


def budgets_in(spec: DatasetSpec) -> list[LabelBudget]:
    """As a suite gives them; none at all where it gives none."""
    budgets = [
        LabelBudget("full") if amount == "full" else LabelBudget("labels_per_class", float(amount))
        for amount in spec.labels_per_class
    ]
    budgets += [LabelBudget("fraction", amount) for amount in spec.fraction]
    return budgets + [LabelBudget("total", float(amount)) for amount in spec.total]


def _opened(spec: DatasetSpec, problems: Problems) -> SplitList:
    name, beside = str(spec.splits), problems.loaded.path.parent
    if name in problems.kept.lists:
        return parse(problems.kept.lists[name], name)
    path = find_file(name, beside)
    if path is None:
        near = near_file(name, beside)
        raise DataError(f"{name}: no such list here, nor beside the suite, nor in a data folder{near}")
    return read(path)


def of_budget(suite: Suite, of: tuple[str, SplitList], budget: str, facts: DatasetFacts) -> TaskList:
    """`of`: the list, and its path as written. Raises DataError."""
    written, found = of
    entries = [found.find(budget, repeat) for repeat in range(suite.repeats)]
    if absent := [number for number, entry in enumerate(entries) if entry is None]:
        raise DataError(f"{found.name}: budget {budget!r} has no list for repeat {listed(absent)}; the suite has "
                        f"{suite.repeats} repeats")
    every = [entry for entry in entries if entry is not None]
    sizes = facts.num_train, facts.num_test
    for entry in dict.fromkeys(every):
        check_sizes(entry, sizes, found.name)
    settled = [_settled(entry, sizes) for entry in every]
    own = Division(tuple(range(sizes[0])), tuple(range(sizes[0], sum(sizes))))
    is_own = all(part == own for _, part in settled)
    parted = tuple(None if is_own else part for _, part in settled)
    task = TaskList(written, found.digest, tuple(one for one, _ in settled), parted)
    if why := _uneven(task, suite) or _unfit(task, budget, suite, facts):
        raise DataError(f"{found.name}: budget {budget!r}: {why}")
    return task


def check_sizes(entry: Entry, sizes: Sizes, name: str) -> None:
    """Raises DataError where indices lead nowhere, or an example is learned and tested on."""
    within = {"train": sizes[0], "test": sizes[1], POOL: sum(sizes)}
    for what, of, part in entry.parts:
        for place, index in enumerate(part.indices):
            if not 0 <= index < within[of]:
                raise DataError(f"{name}{part.where(place)}: {entry.text}: {what} example {index}, and {of!r} of this "
                                f"data set has {within[of]:,}, counted from 0")
    if entry.of_train == POOL and not entry.test.indices:
        raise DataError(f"{name}: {entry.text}: labelled examples of the pool, and no test examples: say which are "
                        "tested on")
    train, test = places(entry, sizes)
    both = np.flatnonzero(np.isin(test, train))
    if len(both):
        told = listed((f"{entry.test.indices[place]}{_line(entry, int(place))}" for place in both), SHOWN)
        raise DataError(f"{name}: {entry.text}: {len(both)} test examples are labelled too: {told}")


def _line(entry: Entry, place: int) -> str:
    return f" (line {entry.test.lines[place]})" if entry.test.lines else ""


def _settled(entry: Entry, sizes: Sizes) -> tuple[Listed, Division]:
    """Of a checked entry. In a pool, all that is not tested on is the training split, though most has no label."""
    train, test = places(entry, sizes)
    test = np.sort(test) if len(test) else np.arange(sizes[0], sum(sizes))  # the set's own test split
    is_pool = POOL in (entry.of_train, entry.of_test)
    rest = np.setdiff1d(np.arange(sum(sizes)), test) if is_pool else np.arange(sizes[0])
    order = np.argsort(train)
    folds = [entry.folds[place] for place in order]
    numbers = sorted({fold for fold in folds if fold is not None})
    validation = tuple(tuple(place for place, fold in enumerate(folds) if fold == number) for number in numbers)
    labels = Listed(tuple(np.searchsorted(rest, train[order]).tolist()), validation)
    return labels, Division(tuple(rest.tolist()), tuple(test.tolist()))


def _uneven(task: TaskList, suite: Suite) -> str:
    """Nothing, where the repeats are alike."""
    if len({len(one.train) for one in task.repeats}) > 1:
        return f"repeats differ in their number of labels ({listed(sorted({len(one.train) for one in task.repeats}))})"
    if len({None if part is None else len(part.test) for part in task.parted}) > 1:
        return "repeats differ in their number of test examples"
    # One search for all repeats validates in the first one alone.
    asked = task.repeats if suite.search.scope == "repeat" else task.repeats[:1]
    if len({len(one.validation) for one in asked}) > 1:
        return "repeats differ in their number of validation folds"
    if suite.search.scope == "cell" and task.parted[0] is not None:
        learned = {task.parted[0].train[place] for place in task.repeats[0].train}
        for number, part in enumerate(task.parted):
            if part is not None and (both := sorted(learned.intersection(part.test))):
                return (f"`search: {{scope: cell}}` searches on the labels of repeat 0, and {len(both)} of them are "
                        f"test examples of repeat {number} (in the pool: {listed(both, SHOWN)})")
    return ""


def _unfit(task: TaskList, budget: str, suite: Suite, facts: DatasetFacts) -> str:
    """Nothing, where the budget is what it says, and something can be validated on."""
    num, asked = task.num_labels, LabelBudget.of(budget)
    own = task.seen(facts).num_train
    exact = {"labels_per_class": int(asked.amount) * facts.num_classes, "total": int(asked.amount), "full": own}
    if num != exact.get(asked.kind, num):
        return f"lists {num} labelled examples, and the budget is {exact[asked.kind]}"
    rounded_up = num - asked.amount * own + 1e-6  # by less than one in each class
    if asked.kind == "fraction" and not 0 <= rounded_up <= facts.num_classes:
        return f"lists {num} labelled examples, and the budget is {budget} of {own}"
    if any(one.validation and sum(map(len, one.validation)) >= num and len(one.validation) == 1
           for one in task.repeats):  # fmt: skip
        return "all labelled examples are of one fold, so that nothing is left to train on"
    if not task.validates and num < 2 * facts.num_classes:
        return f"fewer than 2 labels for each of {facts.num_classes} classes leave nothing to validate on"
    return ""


def refuse_lists_of_other_data(plan: Plan, load: Callable[[DataRef], Dataset]) -> None:
    """Raises SuiteError where a list was made for other data, or has other labels. All of it is read for this."""
    lines: list[str] = []
    named = {(digest(cell.declared.data), cell.listed.name): cell for cell in plan.cells if cell.listed is not None}
    for cell in named.values():
        spec = cell.declared.dataset
        assert cell.listed is not None
        try:
            found = _opened(spec, Problems(plan.loaded))
            if found.digest != cell.listed.digest:
                raise DataError(f"{found.name}: was changed after this run was planned; start it again")
            why = difference(found.entries, load(cell.declared.data), found.name)
        except DataError as error:
            why = str(error)
        if why:
            lines.append(plan.loaded.problem(("datasets", plan.loaded.suite.datasets.index(spec), "splits"), why))
    if lines:
        raise SuiteError(lines)


def difference(entries: Iterable[Entry], data: Dataset, name: str) -> str:
    """The first one of the list from these data; nothing where it fits."""
    own = {"train": data.train.labels, "test": data.test.labels}
    labels = {**own, POOL: np.concatenate(list(own.values()))}
    for entry in entries:
        check_sizes(entry, (len(own["train"]), len(own["test"])), name)
        if entry.sha256 and entry.sha256 != data.sha256:
            return (f"{name}: {entry.text}: made for other data: sha256 {entry.sha256[:12]}, and this data set is "
                    f"{data.sha256[:12]}")
        for what, of, part in entry.parts:
            for place, (index, label) in enumerate(zip(part.indices, part.labels, strict=False)):
                if labels[of][index] != label:
                    return (f"{name}{part.where(place)}: {entry.text}: {what} example {index} of {of!r} has label "
                            f"{labels[of][index]} in this data set, and {label} in the list")
        budget = LabelBudget.of(entry.budget)
        counts = np.bincount(labels[entry.of_train][list(entry.train.indices)], minlength=len(data.classes))
        wrong = np.flatnonzero(counts != int(budget.amount))
        if budget.kind == "labels_per_class" and len(wrong):
            return f"{name}: {entry.text}: class {data.classes[wrong[0]]!r} has {counts[wrong[0]]} labelled examples"
    return ""
