"""Suite -> Plan: every cell, and every job once. Gathers all problems of names, options and sizes before it stops."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench import backbones, datasets
from bench.backbones import probe
from bench.errors import BenchError, Missing, MissingInputs, SuiteError
from bench.keys import digest
from bench.plan.origins import origin_of
from bench.plan.plan import Cell, Finds, Plan, Source
from bench.plan.precision import Precision
from bench.plan.resolve import (
    Problems,
    ResolvedBackbone,
    ResolvedDataset,
    ResolvedStrategy,
    file_weights,
    hub_weights,
    pipeline,
    resolve_backbone,
    resolve_dataset,
    resolve_strategy,
)
from bench.plan.settings import search_of, training_of
from bench.plan.spec import FitSpec, Job, LabelBudget
from bench.suite.load import LoadedSuite
from bench.suite.schema import BackboneSpec, DatasetSpec, FoldsSpec, Suite

MAX_RUNS = 20_000  # trainings; a mistyped grid should not start


@dataclass(frozen=True)
class Task:
    dataset: ResolvedDataset
    budget: LabelBudget
    num_labels: int


def make_plan(
    loaded: LoadedSuite,
    cache: Path,
    max_runs: int = MAX_RUNS,
    auto_precision: Precision = "fp32",
    kept: Finds | None = None,
) -> Plan:
    """Raises SuiteError with every problem found, or MissingInputs. `auto_precision`: what `precision: auto` means
    here. `kept`: what an earlier run found, for looking at what it left."""
    if loaded.suite.engine.precision == "auto":
        engine = loaded.suite.engine.model_copy(update={"precision": auto_precision})
        loaded = replace(loaded, suite=loaded.suite.model_copy(update={"engine": engine}))
    suite = loaded.suite
    problems = Problems(loaded, kept=kept or Finds())
    tasks = _tasks(suite, problems)
    shelf = _backbones(suite, cache, problems)
    recipes = _strategies(suite, shelf, problems)
    refuse(problems)
    _check_size(loaded, tasks, recipes, max_runs)
    jobs: dict[str, Job] = {}
    cells = tuple(_cells(suite, tasks, recipes, jobs))
    return Plan(
        loaded=loaded,
        cells=cells,
        jobs=jobs,
        sources=_sources(tasks, recipes),
        finds=problems.finds,
        weights_files={b.weights.identity: b.weights_file for b, _ in recipes if b.weights_file is not None},
        pretrain_labels=_pretrain_labels(recipes),
    )


def _sources(tasks: list[Task], recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]) -> dict[str, Source]:
    found = {digest(task.dataset.ref): task.dataset.source for task in tasks}
    for backbone, listed in recipes:
        found |= backbone.sources
        found |= {digest(one.via.ref): one.via.source for one in listed if one.via is not None}
    return found


def _pretrain_labels(
    recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]
) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for backbone, listed in recipes:
        if backbone.pretraining is not None and backbone.spec.pretrain is not None:
            found[backbone.pretraining.key] = (backbone.label, datasets.short_name(backbone.spec.pretrain.dataset))
        for one in listed:
            if one.via is not None:
                found[origin_of(backbone, one).needs[-1]] = (backbone.label, f"then {one.via.label}")
    return found


def _tasks(suite: Suite, problems: Problems) -> list[Task]:
    tasks: list[Task] = []
    for number, spec in enumerate(suite.datasets):
        loc = ("datasets", number)
        resolved = resolve_dataset(spec.name, spec.options, loc, problems, spec.metric)
        if resolved is None:
            continue
        dataset = ResolvedDataset(spec.label or datasets.short_name(spec.name), *resolved)
        if any(dataset.label == task.dataset.label for task in tasks):
            problems.add(loc, f"{dataset.label!r} stands twice in this suite; give one of them another `label`")
        for budget in budgets_of(spec):
            trouble = _budget_trouble(budget, dataset) or _folds_trouble(suite, budget, dataset)
            if trouble:
                problems.add((*loc, budget.kind), trouble)
            tasks.append(Task(dataset, budget, _num_labels(budget, dataset)))
    return tasks


def refuse(problems: Problems) -> None:
    """Mistakes first: what is missing may belong to one."""
    if problems.lines:
        raise SuiteError([*problems.lines, *problems.lacks])
    if problems.missing:
        raise MissingInputs(problems.lacks, list(problems.missing.values()))


def budgets_of(spec: DatasetSpec) -> list[LabelBudget]:
    budgets = [
        LabelBudget("full") if amount == "full" else LabelBudget("labels_per_class", float(amount))
        for amount in spec.labels_per_class
    ]
    budgets += [LabelBudget("fraction", amount) for amount in spec.fraction]
    budgets += [LabelBudget("total", float(amount)) for amount in spec.total]
    return budgets or [LabelBudget("full")]


def _budget_trouble(budget: LabelBudget, dataset: ResolvedDataset) -> str | None:
    facts = dataset.facts
    if budget.kind == "labels_per_class" and budget.amount > facts.smallest_class:
        return (f"{budget.text} labels per class: a class of {dataset.label!r} has only {facts.smallest_class} "
                f"training images")
    if budget.kind == "total" and budget.amount > facts.num_train:
        return f"{budget.text}: {dataset.label!r} has only {facts.num_train} training images"
    if _num_labels(budget, dataset) < 2 * facts.num_classes:
        return (f"{budget.text}: fewer than 2 labels for each of {facts.num_classes} classes leave nothing "
                f"to validate on")
    return None


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


def _backbones(suite: Suite, cache: Path, problems: Problems) -> list[ResolvedBackbone]:
    specs = list(suite.backbones)
    known: list[int] = []
    for number, spec in enumerate(specs):
        try:
            backbones.find(spec.name)
            known.append(number)
        except BenchError as error:
            problems.add(("backbones", number, "name"), str(error))
    for number in known:
        _check_outside_weights(number, specs[number], problems)
    if problems.missing:  # asking about timm models takes seconds, and nothing will run
        known = [number for number in known if backbones.find(specs[number].name) is not None]
    resolved: list[ResolvedBackbone] = []
    for number, facts in zip(known, probe.facts_for([specs[n] for n in known], cache), strict=True):
        if isinstance(facts, BenchError):
            problems.add(("backbones", number), str(facts))
            continue
        backbone = resolve_backbone(number, suite, facts, problems)
        if backbone is None:
            continue
        if any(backbone.label == other.label for other in resolved):
            text = f"{backbone.label!r} stands twice in this suite; give one of them another `label`"
            problems.add(("backbones", number), text)
        resolved.append(backbone)
    return resolved


def _check_outside_weights(number: int, spec: BackboneSpec, problems: Problems) -> None:
    try:
        if backbones.find(spec.name) is None and spec.pretrain is None and spec.weights in (None, "hub"):
            hub_weights(backbones.full_name(spec.name), problems)
        elif spec.weights not in (None, "hub", "random"):
            file_weights(spec.weights, problems)
    except Missing as missing:
        problems.lack(("backbones", number, "weights"), missing)


def _strategies(
    suite: Suite, shelf: list[ResolvedBackbone], problems: Problems
) -> list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]:
    """For each backbone its strategies. Without any backbone the names and options are still checked."""
    found = []
    placeholder = tuple(f"unit{i}" for i in range(1000))
    for unit_names in [b.facts.unit_names for b in shelf] or [placeholder]:
        listed: list[ResolvedStrategy] = []
        for number, spec in enumerate(suite.strategies):
            if unit_names is placeholder and spec.recipe is not None:
                continue
            for strategy in resolve_strategy(number, spec, unit_names, problems):
                if any(strategy.label == other.label for other in listed):
                    problems.add(("strategies", number), f"{strategy.label!r} stands twice in this suite")
                listed.append(strategy)
        found.append(listed)
    problems.lines[:] = dict.fromkeys(problems.lines)  # the same strategy fails alike on every backbone
    return list(zip(shelf, found, strict=False))


def _check_size(
    loaded: LoadedSuite,
    tasks: list[Task],
    recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]],
    max_runs: int,
) -> None:
    suite = loaded.suite
    cells = len(tasks) * sum(len(listed) for _, listed in recipes)
    searches = suite.repeats if suite.search.scope == "repeat" else 1
    runs = cells * (suite.search.trials * searches + suite.repeats)
    if runs > max_runs:
        raise SuiteError([
            f"{loaded.path}: {cells:,} cells make {runs:,} trainings, over --max-runs {max_runs:,}; "
            f"`python -m bench plan` shows where they come from"
        ])


def _cells(
    suite: Suite,
    tasks: list[Task],
    recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]],
    jobs: dict[str, Job],
) -> Iterator[Cell]:
    for backbone, _ in recipes:
        if backbone.pretraining is not None:
            jobs[backbone.pretraining.key] = backbone.pretraining
    for task in tasks:
        for backbone, listed in recipes:
            for strategy in listed:
                yield _cell(suite, task, (backbone, strategy), jobs)


def _cell(
    suite: Suite, task: Task, pair: tuple[ResolvedBackbone, ResolvedStrategy], jobs: dict[str, Job]
) -> Cell:
    backbone, strategy = pair
    recipe = replace(strategy.recipe, via=None)  # the weights tell of it
    origin = origin_of(backbone, strategy)
    for job in origin.pretrainings:
        jobs.setdefault(job.key, job)
    spec = FitSpec(
        data=task.dataset.ref,
        budget=task.budget,
        backbone=backbone.ref(origin.weights),
        recipe=recipe,
        pipeline=pipeline(backbone.spec, backbone.facts, task.dataset.facts),
        training=training_of(suite, task.num_labels, recipe),
        search=search_of(suite, (task.num_labels, task.dataset.facts.num_classes), recipe),
        repeat=0,
        seed=suite.seed,
    )
    made = [_search_and_final(suite, replace(spec, repeat=repeat), origin.needs) for repeat in range(suite.repeats)]
    for job in (job for pair_of_jobs in made for job in pair_of_jobs):
        jobs.setdefault(job.key, job)
    return Cell(
        dataset=task.dataset.label,
        budget=task.budget,
        backbone=backbone.label,
        strategy=strategy.label,
        baseline=strategy.baseline,
        num_labels=task.num_labels,
        num_classes=task.dataset.facts.num_classes,
        num_units=len(backbone.facts.unit_names),
        depth=recipe.freeze_depth,
        pretraining=origin.needs[0] if origin.needs else None,
        searches=tuple(search.key for search, _ in made),
        finals=tuple(final.key for _, final in made),
    )


def _search_and_final(suite: Suite, spec: FitSpec, needs: tuple[str, ...]) -> tuple[Job, Job]:
    search = Job("search", spec if suite.search.scope == "repeat" else replace(spec, repeat=0), needs)
    return search, Job("final", spec, (*needs, search.key))
