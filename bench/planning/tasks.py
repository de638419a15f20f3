"""Datasets of a suite -> tasks: each with one label budget, and what is wrong with it."""

import math
from dataclasses import dataclass

from bench.datasets.base import DatasetFacts
from bench.datasets.split_lists import TaskList
from bench.modalities import example_of
from bench.planning.lists import budgets_in, lists_of
from bench.planning.problems import Problems
from bench.planning.resolve import Asked, ResolvedDataset, resolve_dataset
from bench.planning.resplit import resplits, splits_of, trouble
from bench.spec.refs import LabelBudget
from bench.suite.schema import DatasetSpec, Suite
from bench.suite.search_schema import FoldsSpec


@dataclass(frozen=True)
class Task:
    spec: DatasetSpec
    dataset: ResolvedDataset
    budget: LabelBudget
    num_labels: int
    splits: tuple[int | str, ...] = ()  # of the repeats' own training and test examples; (): they share one test split
    listed: TaskList | None = None  # what a list says of its examples


def tasks_of(suite: Suite, problems: Problems) -> list[Task]:
    tasks: list[Task] = []
    for number, spec in enumerate(suite.datasets):
        loc = ("datasets", number)
        asked = Asked(spec.name, spec.options, spec.classes, spec.metric)
        resolved = resolve_dataset(asked, loc, problems)
        if resolved is None:
            continue
        dataset = ResolvedDataset(spec.label or asked.label, *resolved)
        if any(dataset.label == task.dataset.label for task in tasks):
            problems.add(loc, f"{dataset.label!r} stands twice in this suite; give one of them another `label`")
        facts, ref = dataset.facts, dataset.ref
        if wrong := trouble(suite, spec, facts):
            problems.add((*loc, "test", "resplit"), f"{dataset.label!r}: {wrong}")
        if spec.splits is not None:
            tasks += [Task(spec, dataset, budget, listed.num_labels, listed.splits, listed)
                      for budget, listed in lists_of(suite, (spec, facts), loc, problems)]
            continue
        splits = splits_of(suite, ref) if resplits(suite, spec, facts) else ()
        for budget in budgets_in(spec) or [LabelBudget("full")]:
            unfit = _budget_trouble(budget, dataset) or _folds_trouble(suite, budget, dataset)
            if unfit:
                problems.add((*loc, budget.kind), unfit)
            tasks.append(Task(spec, dataset, budget, _num_labels(budget, dataset), splits))
    return tasks


def _budget_trouble(budget: LabelBudget, dataset: ResolvedDataset) -> str | None:
    facts = dataset.facts
    example = example_of([facts.modality or "image"])
    if budget.kind == "labels_per_class" and budget.amount > facts.smallest_class:
        few = f"{budget.text} labels per class: {_smallest(facts)} of {dataset.label!r} has only {facts.smallest_class}"
        apart = "; the others of that class are test examples" if facts.division is not None else ""
        return f"{few} training {example}s{apart}"
    if budget.kind == "total" and budget.amount > facts.num_train:
        return f"{budget.text}: {dataset.label!r} has only {facts.num_train} training {example}s"
    if _num_labels(budget, dataset) < 2 * facts.num_classes:
        return (f"{budget.text}: fewer than 2 labels for each of {facts.num_classes} classes leave nothing "
                f"to validate on")
    return None


def _smallest(facts: DatasetFacts) -> str:
    """`a class`, or `class 'bees'` where its name is known."""
    if facts.classes and facts.train_sizes:
        return f"class {facts.classes[facts.train_sizes.index(min(facts.train_sizes))]!r}"
    return "a class"


def _folds_trouble(suite: Suite, budget: LabelBudget, dataset: ResolvedDataset) -> str | None:
    wanted = suite.search.validation
    per_class = _num_labels(budget, dataset) // dataset.facts.num_classes
    if isinstance(wanted, FoldsSpec) and wanted.folds > per_class:
        return f"{budget.text}: {wanted.folds} folds need as many labels of each class, this leaves {per_class}"
    return None


def _num_labels(budget: LabelBudget, dataset: ResolvedDataset) -> int:
    facts = dataset.facts
    match budget.kind:
        case "labels_per_class":
            return int(budget.amount) * facts.num_classes
        case "fraction":
            # As subsets are drawn: rounded up class by class. Exact where the classes are equally large.
            per_class = math.ceil(round(budget.amount * facts.num_train / facts.num_classes, 9))
            return min(facts.num_classes * per_class, facts.num_train)
        case "total":
            return int(budget.amount)
        case "full":
            return facts.num_train
