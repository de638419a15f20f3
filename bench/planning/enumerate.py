"""Suite -> Plan: every cell, and every job once. Gathers all problems of names, options and sizes before it stops."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import backbones
from bench.errors import BenchError, Missing, MissingInputs, SuiteError
from bench.keys import digest
from bench.modalities import example_of
from bench.planning import probe
from bench.planning.claims import check_claims
from bench.planning.equal_flops import EqualFlops, Pair
from bench.planning.exams import refuse_same
from bench.planning.networks import networks_of, stands_for_many
from bench.planning.origins import origin_of
from bench.planning.pitfalls import PITFALLS, mistaken_cells
from bench.planning.plan import Cell, DataSource, Declared, Finds, Plan, Role
from bench.planning.precision import PLAIN, Machine, choose
from bench.planning.problems import Problems
from bench.planning.resolve import (
    ResolvedBackbone,
    ResolvedStrategy,
    pipeline,
    resolve_backbone,
    resolve_strategy,
)
from bench.planning.settings import (
    for_modality,
    head_of,
    optimizer_of,
    search_of,
    source_examples_of,
    training_of,
    undrawn,
)
from bench.planning.study import check_reading, role_of
from bench.planning.tasks import Task, tasks_of
from bench.planning.weights import file_weights, hub_weights
from bench.spec.job import FitSpec, Job
from bench.spec.refs import LabelBudget, arithmetic_key
from bench.suite.load import LoadedSuite
from bench.suite.schema import BackboneSpec, Suite

Combination = tuple[Task, Pair, Role | None]


def make_plan(
    loaded: LoadedSuite,
    cache: Path,
    machine: Machine = PLAIN,
    kept: Finds | None = None,
) -> Plan:
    """Raises SuiteError with every problem found, or MissingInputs. `machine`: what `precision: auto` is asked of.
    `kept`: what an earlier run found, for looking at what it left."""
    asked = loaded.suite.engine.precision
    if asked == "auto":
        engine = loaded.suite.engine.model_copy(update={"precision": machine.precision})
        loaded = replace(loaded, suite=loaded.suite.model_copy(update={"engine": engine}))
    suite = loaded.suite
    problems = Problems(loaded, kept=kept or Finds())
    tasks = tasks_of(suite, problems)
    shelf = [replace(backbone, arithmetic=choose(asked, machine, backbone.facts.is_depthwise),
                     deterministic=suite.engine.deterministic or None)
             for backbone in _backbones(suite, cache, problems)]
    recipes = _strategies(suite, shelf, problems)
    _check_modalities(tasks, recipes, problems)
    _check_masks(suite, shelf, problems)
    _check_epochs(suite, tasks, recipes, problems)
    if suite.training.flops is not None and suite.search.budget == "steps":
        text = "with `training.flops` a step costs each strategy another sum: equal steps are no equal budget"
        problems.add(("search", "budget"), text)
    check_reading(suite, tasks, problems)
    refuse(problems)
    every = list(_combinations(suite, tasks, recipes))
    _check_size(loaded, every)
    jobs = {job.key: job for backbone, _ in recipes for job in backbone.pretrainings}
    equal = EqualFlops(suite, ((task, pair, _num_learned(task, pair)) for task, pair, _ in every), cache)
    cells = tuple(_cells(loaded, every, equal, jobs))
    refuse_same(loaded, cells)
    check_claims(loaded, cells)
    return Plan(
        loaded=loaded,
        cells=cells,
        jobs=jobs,
        sources=_sources(tasks, recipes),
        finds=problems.finds,
        weights_files={name: path for backbone, _ in recipes for name, path in backbone.files.items()},
        pretrain_labels=_pretrain_labels(recipes),
        machine=machine,
        arithmetic={arithmetic_key(backbone.ref(backbone.weights)): backbone.arithmetic for backbone, _ in recipes},
    )


def _sources(
    tasks: list[Task], recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]
) -> dict[str, DataSource]:
    found = {digest(task.dataset.ref): task.dataset.source for task in tasks}
    for backbone, listed in recipes:
        found |= backbone.sources
        found |= {digest(stage.data.ref): stage.data.source for one in listed for stage in one.stages}
    return found


def _pretrain_labels(
    recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]
) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for backbone, listed in recipes:
        for number, job in enumerate(backbone.pretrainings):
            assert backbone.lesson is not None, "it comes with a pretraining"
            found[job.key] = (backbone.label, _of_repeat(backbone, backbone.lesson.label, number))
        for one in listed:
            ways = ["then " + ", then ".join(stage.data.label for stage in one.stages[: place + 1])
                    for place in range(len(one.stages))]  # fmt: skip
            for number in range(max(1, len(backbone.pretrainings)) if ways else 0):
                made = origin_of(backbone, one, number).needs[-len(ways) :]
                found |= {key: (backbone.label, _of_repeat(backbone, way, number))
                          for key, way in zip(made, ways, strict=True)}  # fmt: skip
    return found


def _of_repeat(backbone: ResolvedBackbone, label: str, number: int) -> str:
    return f"{label}, repeat {number}" if len(backbone.pretrainings) > 1 else label


def refuse(problems: Problems) -> None:
    """Mistakes first: what is missing may belong to one."""
    if problems.lines:
        raise SuiteError([*problems.lines, *problems.lacks])
    if problems.missing:
        raise MissingInputs(problems.lacks, list(problems.missing.values()))


def _backbones(suite: Suite, cache: Path, problems: Problems) -> list[ResolvedBackbone]:
    specs = list(suite.backbones)
    known: list[int] = []
    for number, spec in enumerate(specs):
        try:
            backbones.find(spec.name)
            known.append(number)
        except BenchError as error:
            problems.add(("backbones", number, "name"), str(error))
    networks = networks_of(specs, known, problems)
    known = [number for number in known if number in networks or not stands_for_many(specs[number])]
    for number in known:
        _check_outside_weights(number, specs[number], problems)
    if problems.missing:  # looking at models takes seconds, and nothing will run
        known = [n for n in known if n not in networks and backbones.find(specs[n].name) is not None]
    resolved: list[ResolvedBackbone] = []
    asked = [(specs[number], networks.get(number)) for number in known]
    for number, facts in zip(known, probe.facts_for(asked, cache), strict=True):
        if isinstance(facts, BenchError):
            problems.add(("backbones", number), str(facts))
            continue
        backbone = resolve_backbone((number, networks.get(number)), suite, facts, problems)
        if backbone is None:
            continue
        if any(backbone.label == other.label for other in resolved):
            text = f"{backbone.label!r} stands twice in this suite; give one of them another `label`"
            problems.add(("backbones", number), text)
        resolved.append(backbone)
    return resolved


def _check_modalities(
    tasks: list[Task], recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]], problems: Problems
) -> None:
    """A suite may hold several; each backbone meets the data sets of its own."""
    for number, (backbone, listed) in enumerate(recipes):
        takes = backbone.facts.modality
        taught = [(stage.data.ref.name, stage.data.facts) for one in listed for stage in one.stages]
        if backbone.lesson is not None:
            taught.append((backbone.lesson.label, backbone.sources[digest(backbone.lesson.data)].facts))
        for name, facts in dict(taught).items():
            if facts.modality != takes:
                text = f"backbone {backbone.label!r} is for {takes} data, and data set {name!r} is {facts.modality}"
                problems.add(("backbones", number), text)
        if tasks and not any(task.dataset.facts.modality == takes for task in tasks):
            every = {task.dataset.label: task.dataset.facts.modality for task in tasks}
            named = ", ".join(f"{label!r} is {modality}" for label, modality in every.items())
            text = f"backbone {backbone.label!r} is for {takes} data, and data set {named}"
            problems.add(("backbones", number), text)
    for task in tasks if recipes else ():
        given, number = task.dataset.facts.modality, problems.loaded.suite.datasets.index(task.spec)
        if not any(backbone.facts.modality == given for backbone, _ in recipes):
            text = f"data set {task.dataset.label!r} is {given}, and no backbone of this suite is for such data"
            problems.add(("datasets", number), text)


def _check_masks(suite: Suite, shelf: list[ResolvedBackbone], problems: Problems) -> None:
    """Some tokenizers have no mask token."""
    changes = suite.training.augment.text
    for backbone in shelf if changes is not None and changes.mask else ():
        if backbone.facts.modality == "text" and not backbone.facts.takes.has_mask:
            text = f"the tokenizer of {backbone.label!r} has no mask token; `drop` hides tokens without one"
            problems.add(("training", "augment", "text", "mask"), text)


def _check_epochs(
    suite: Suite,
    tasks: list[Task],
    recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]],
    problems: Problems,
) -> None:
    """Steps of an epoch, and what a step costs, follow from the number of examples, which has to be known."""
    how = "epochs" if suite.training.epochs else "flops"
    is_asked = suite.training.epochs or suite.training.flops is not None
    for task, (backbone, strategy), _ in _combinations(suite, tasks, recipes) if is_asked else ():
        if strategy.recipe.labels == "source" and source_examples_of(backbone, task.dataset.facts) is None:
            example = example_of([backbone.facts.modality])
            text = (f"{strategy.label!r} learns {example}s of the source of {backbone.label!r} that show the "
                    f"classes of {task.dataset.label!r}, and how many there are is not known: give `steps` instead")
            problems.add(("training", how), text)
    problems.lines[:] = dict.fromkeys(problems.lines)  # budgets are alike


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


def _check_size(loaded: LoadedSuite, every: list[Combination]) -> None:
    suite = loaded.suite
    cells = len(every)
    searches = suite.repeats if suite.search.scope == "repeat" else 1
    runs = cells * (suite.search.trials * searches + suite.repeats)
    soups = sum(strategy.recipe.soup is not None for _, (_, strategy), _ in every)
    if suite.search.finals == "all":
        runs += cells * suite.repeats * (suite.search.trials - 1)
    wrong = sum(suite.repeats + PITFALLS[name].trains * suite.search.trials * searches for name in suite.pitfalls)
    runs += wrong * sum(not strategy.baseline for _, (_, strategy), _ in every)  # at the most
    runs += soups * suite.search.trials * (suite.repeats - searches)  # each repeat has its own trials
    if runs > suite.max_runs:
        raise SuiteError([
            f"{loaded.path}: {cells:,} cells make {runs:,} trainings, over the {suite.max_runs:,} allowed: each has "
            f"{suite.search.trials:,} trials and {suite.repeats:,} repeats; lower these, or write `max_runs: {runs}` "
            "in the suite"
        ])


def _cells(loaded: LoadedSuite, every: list[Combination], equal: EqualFlops, jobs: dict[str, Job]) -> Iterator[Cell]:
    suite = loaded.suite
    for task, pair, role in every:
        try:
            steps = equal.steps(task, pair, _num_learned(task, pair))
        except BenchError as error:
            raise SuiteError([loaded.problem(("training", "flops"), str(error))]) from error
        cell = replace(_cell(suite, task, pair, steps, jobs), role=role)
        yield cell
        yield from mistaken_cells(cell, suite.pitfalls, pair[0].facts.has_batchnorm, jobs)


def _num_learned(task: Task, pair: Pair) -> int:
    """Examples that a strategy trains on: the labelled ones, or those of the source."""
    backbone, strategy = pair
    known = source_examples_of(backbone, task.dataset.facts) if strategy.recipe.labels is not None else None
    return known or task.num_labels


def _combinations(
    suite: Suite, tasks: list[Task], recipes: list[tuple[ResolvedBackbone, list[ResolvedStrategy]]]
) -> Iterator[Combination]:
    """Task, backbone and strategy: each with each, but in a study, which has its own."""
    study = suite.transferability
    for task in tasks:
        for backbone, listed in recipes:
            if backbone.facts.modality != task.dataset.facts.modality:
                continue
            for strategy in listed:
                if study is None:
                    yield task, (backbone, strategy), None
                elif role := role_of(study, task.spec.classes, backbone.spec.pretrain, strategy.axis):
                    yield task, (backbone, strategy), role


def _cell(suite: Suite, task: Task, pair: Pair, steps: int, jobs: dict[str, Job]) -> Cell:
    backbone, strategy = pair
    recipe = strategy.recipe
    origins = [origin_of(backbone, strategy, repeat) for repeat in range(suite.repeats)]
    training = training_of(suite, steps, optimizer_of(suite, backbone.facts))
    training = for_modality(replace(training, precision=backbone.arithmetic.used), backbone.facts.modality)
    for job in (job for origin in origins for job in origin.pretrainings):
        jobs.setdefault(job.key, job)
    spec = FitSpec(
        data=task.dataset.ref,
        budget=task.budget if recipe.labels is None else LabelBudget("full"),  # of the source's
        backbone=backbone.ref(origins[0].weights),
        recipe=recipe,
        pipeline=pipeline(backbone.spec, backbone.facts, task.dataset.facts),
        training=training,
        search=search_of(
            suite, (task.num_labels, task.dataset.facts.num_classes), recipe, training, backbone.facts.modality
        ),
        head=head_of(suite, strategy.spec.head, recipe),
        repeat=0,
        seed=suite.seed,
        varied=strategy.varied,
    )
    specs = [one if origin.weights == origins[0].weights else replace(one, backbone=backbone.ref(origin.weights))
             for one, origin in zip(_repeats(suite, task, spec), origins, strict=True)]
    made = [_search_and_final(suite, (one, specs[0]), (origin.needs, origins[0].needs))
            for one, origin in zip(specs, origins, strict=True)]
    for job in (job for pair_of_jobs in made for job in pair_of_jobs):
        jobs.setdefault(job.key, job)
    others = _unchosen(suite, [final for _, final in made])
    for job in others:
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
        axis=strategy.axis,
        pretrainings=tuple(origin.needs[0] for origin in origins if origin.needs),
        searches=tuple(search.key for search, _ in made),
        finals=tuple(final.key for _, final in made),
        declared=_declared(task, backbone, strategy),
        unchosen=tuple(job.key for job in others),
        lessons=origins[0].lessons,
        splits=task.splits,
        listed=task.listed,
        modality=task.dataset.facts.modality or "image",
    )


def _repeats(suite: Suite, task: Task, spec: FitSpec) -> list[FitSpec]:
    splits = task.splits or (None,) * suite.repeats
    # Repeats that see the same data have the same object, whose digest is then computed once.
    data = [spec.data if one == spec.data.split else replace(spec.data, split=one) for one in splits]
    specs = [replace(spec, repeat=number, data=one) for number, one in enumerate(data)]
    if task.listed is None or spec.recipe.labels is not None:  # labels of a source are no target's
        return specs
    said = zip(specs, task.listed.repeats, task.listed.keys, strict=True)
    return [replace(one, search=listed.search(one.search), listed=key) for one, listed, key in said]


def _declared(task: Task, backbone: ResolvedBackbone, strategy: ResolvedStrategy) -> Declared:
    source = next((job.spec.data for job in backbone.pretrainings), None)
    via = tuple(stage.data.ref for stage in strategy.stages)
    return Declared(task.spec, task.dataset.ref, backbone.spec, backbone.weights, source, strategy.spec, via)


def _search_and_final(
    suite: Suite, specs: tuple[FitSpec, FitSpec], needs: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[Job, Job]:
    """Of a repeat. `specs`, `needs`: its own, and those of the first one, whose search may serve all."""
    spec, first = specs
    if spec.recipe.own_head is not None:
        spec, first = undrawn(spec), undrawn(first)
    # A soup is made of the trials themselves, so they must have learned from this repeat's labels.
    is_own = suite.search.scope == "repeat" or spec.recipe.soup is not None
    search = Job("search", spec, needs[0]) if is_own else Job("search", first, needs[1])
    return search, Job("final", spec, (*needs[0], search.key))


def _unchosen(suite: Suite, finals: list[Job]) -> list[Job]:
    """For each final, those of the points that its search did not choose; each is scored once, at its end."""
    found = []
    for final in finals if suite.search.finals == "all" else ():
        spec = final.spec
        assert isinstance(spec, FitSpec)
        if spec.recipe.soup is None and spec.search.trials > 1:  # a soup is made of all points
            once = replace(spec, training=replace(spec.training, evaluations=1))
            found.append(Job("unchosen", once, final.needs))
    return found
