"""Names of a suite -> references with contents. Each function gathers problems at the place where the name stands."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import backbones, datasets, strategies
from bench.backbones.base import BackboneFacts, Found
from bench.catalogue import OptionProblems, Options, parse_options
from bench.datasets.base import DatasetEntry, DatasetFacts
from bench.errors import BenchError, Missing
from bench.keys import digest
from bench.modalities import MODALITIES
from bench.places import DATA, find_file, near_file
from bench.planning.classes import chosen
from bench.planning.plan import DataSource, Lesson
from bench.planning.precision import ASKED, Choice
from bench.planning.problems import Loc, Place, Problems
from bench.planning.titles import label_of
from bench.planning.weights import outside_weights, weights_of
from bench.spec.job import Job, PretrainSpec
from bench.spec.recipe import Recipe, Via
from bench.spec.refs import BackboneRef, DataRef, Metric, Weights
from bench.spec.spans import Span, Varied
from bench.strategies import varied
from bench.strategies.entry import Axis, StrategyEntry
from bench.strategies.inline import axis_inline, build_inline, stops
from bench.suite.schema import BackboneSpec, ClassesSpec, StrategySpec, Suite

PRETRAINING = {"sgd": (0.2, 5e-4), "adamw": (1e-3, 0.05)}  # rate and weight decay where a suite gives none


@dataclass(frozen=True)
class ResolvedDataset:
    label: str
    ref: DataRef
    source: DataSource

    @property
    def facts(self) -> DatasetFacts:
        return self.source.facts


@dataclass(frozen=True)
class ResolvedBackbone:
    label: str
    spec: BackboneSpec
    facts: BackboneFacts
    weights: Weights
    options: dict[str, Any]
    pretrainings: tuple[Job, ...]  # inside the suite: one, or one for each repeat
    files: dict[str, Path]  # of its weights, and what else its network needs, by their identity
    sources: dict[str, DataSource] = field(default_factory=dict)  # of its pretraining
    lesson: Lesson | None = None  # the same
    arithmetic: Choice = Choice("fp32", ASKED)  # what it trains in; `enumerate.py` fills it
    deterministic: bool | None = None  # the same

    def ref(self, weights: Weights) -> BackboneRef:
        return BackboneRef(backbones.split_name(self.spec.name)[0], self.options, self.spec.units, weights)

    def pretraining(self, repeat: int) -> Job | None:
        return self.pretrainings[repeat % len(self.pretrainings)] if self.pretrainings else None

    def weights_of(self, repeat: int) -> Weights:
        job = self.pretraining(repeat)
        return Weights("pretrain", job.key) if job is not None else self.weights


@dataclass(frozen=True)
class ResolvedStage:
    """A data set that a strategy learns on the way."""

    via: Via
    data: ResolvedDataset
    lesson: Lesson


@dataclass(frozen=True)
class ResolvedStrategy:
    label: str
    recipe: Recipe
    baseline: bool
    spec: StrategySpec
    axis: Axis | None = None
    stages: tuple[ResolvedStage, ...] = ()  # between the backbone's weights and the target; taken out of the recipe
    varied: Varied | None = None  # options that are searched


def checked_options(owner: str, model: type[Options], raw: dict[str, Any], at: Place) -> Options | None:
    """Options with defaults filled; None after saying what is wrong with them."""
    try:
        return parse_options(owner, model, raw)
    except OptionProblems as error:
        for option, text in error.problems:
            at.add(text, *([option] if option else []))
        return None


@dataclass(frozen=True)
class Asked:
    """A data set as a suite names it."""

    name: str
    options: dict[str, Any]
    classes: ClassesSpec | None = None
    metric: Metric | None = None
    keys: tuple[str, str] = ("name", "options")  # where name and options stand

    @property
    def label(self) -> str:
        return " ".join([datasets.short_name(self.name), *([self.classes.text] if self.classes else [])])


def resolve_dataset(asked: Asked, loc: Loc, problems: Problems) -> tuple[DataRef, DataSource] | None:
    raw = asked.options
    name, given = datasets.split_name(asked.name)
    try:
        entry: DatasetEntry = datasets.find(name)
    except BenchError as error:
        problems.add((*loc, asked.keys[0]), str(error))
        return None
    written = digest(repr([name, given, raw]))  # its keys may be of any type yet
    kept = problems.kept.sources.get(written)
    try:
        raw = kept.options if kept is not None else _with_places(entry, {**given, **raw}, problems.loaded.path.parent)
        options = checked_options(f"dataset {name!r}", entry.options, raw, Place(problems, (*loc, asked.keys[1])))
        if options is None:
            return None
        facts = kept.facts if kept is not None else entry.facts(options)
    except Missing as missing:
        problems.lack(loc, missing)
        return None
    except BenchError as error:
        problems.add(loc, str(error))
        return None
    except Exception as error:  # a third party's code, most likely about a file of the person's
        problems.add(loc, f"dataset {name!r}: {type(error).__name__}: {error}")
        return None
    every = options.model_dump(mode="json")
    problems.finds.sources[written] = DataSource(every, facts)
    facts, part = replace(facts, modality=facts.modality or entry.modality), None
    if asked.classes is not None:
        try:
            part = chosen(asked.classes, name, entry, facts)
        except ValueError as error:
            problems.add((*loc, "classes"), str(error))
            return None
        facts = facts.of_classes(part)
    in_key, metric = options.in_key(entry.where), asked.metric or facts.metric
    ref = DataRef(name, in_key, facts.revision, facts.num_classes, metric, classes=part)
    return ref, DataSource(every, facts)


def _with_places(entry: DatasetEntry, raw: dict[str, Any], beside: Path) -> dict[str, Any]:
    """Paths as they are found: as they stand, beside the suite, or in a data folder."""
    found = dict(raw)
    for option in entry.where:
        if not isinstance(raw.get(option), str):
            continue  # refused with the other options
        path = find_file(raw[option], beside)
        if path is None and entry.is_hub:
            continue
        if path is None:
            way = f"no file or folder of this name here, nor beside the suite, nor in a folder of {DATA}"
            way += near_file(raw[option], beside)
            raise Missing("dataset", f"{entry.name}:{raw[option]}", way)
        found[option] = str(path.absolute())
    return found


def resolve_backbone(
    which: tuple[int, Found | None], suite: Suite, facts: BackboneFacts, problems: Problems
) -> ResolvedBackbone | None:
    """`which`: its number in the suite, and the network that is meant where its entry stands for many."""
    number, found = which
    spec = suite.backbones[number]
    loc: Loc = ("backbones", number)
    entry = backbones.find(spec.name)
    options = dict(spec.options)
    if found is not None:
        options = found.options
    elif entry is not None:
        at = Place(problems, (*loc, "options"))
        checked = checked_options(f"backbone {spec.name!r}", entry.options, spec.options, at)
        if checked is None:
            return None
        options = checked.in_key()
    if facts.is_size_fixed and spec.image_size not in (None, facts.image_size):
        text = f"{spec.name!r} takes images of {facts.image_size} pixels only; build it for others with " \
               f"`options: {{img_size: {spec.image_size}}}`"
        problems.add((*loc, "image_size"), text)
    if facts.modality != "image":
        _check_of_pictures(spec, facts, Place(problems, loc))
    if spec.pretrain is not None:
        num = suite.repeats if spec.pretrain.seeds == "per_repeat" else 1
        inside = _pretrained_inside(spec, (options, num), facts, Place(problems, loc))
        return replace(inside, files=found.files) if inside is not None and found is not None else inside
    try:
        weights, path = outside_weights(spec, facts, problems) if found is None else weights_of(found, spec, problems)
    except Missing as missing:
        problems.lack((*loc, "weights"), missing)
        return None
    except BenchError as error:
        problems.add((*loc, "weights"), str(error))
        return None
    label = spec.label or _label(spec, found, weights, path)
    files = {**({weights.identity: path} if path is not None else {}), **(found.files if found is not None else {})}
    return ResolvedBackbone(label, spec, facts, weights, options, (), files)


def _check_of_pictures(spec: BackboneSpec, facts: BackboneFacts, at: Place) -> None:
    """What only networks for pictures have a use for; a size is also one of pictures of sound."""
    usual = BackboneSpec(name=spec.name)
    for name in ("image_size", "mean", "std", "interpolation", "crop"):
        if getattr(spec, name) != getattr(usual, name) and not (spec.takes and name == "image_size"):
            at.add(f"{spec.name!r} takes {facts.modality} here, and `{name}` is of pictures", name)


def _label(spec: BackboneSpec, found: Found | None, weights: Weights, path: Path | None) -> str:
    if found is not None and spec.weights in (None, "hub"):
        return found.short
    origin = path.name if path is not None and weights.origin == "file" else weights.origin
    name = found.short if found is not None else spec.name
    return name if weights.origin == "hub" else f"{name} ({origin})"


def _pretrained_inside(
    spec: BackboneSpec, how: tuple[dict[str, Any], int], facts: BackboneFacts, at: Place
) -> ResolvedBackbone | None:
    """`how`: the architecture's options, and how many pretrainings."""
    problems, loc, (options, num) = at.problems, at.loc, how
    source = spec.pretrain
    assert source is not None
    asked = Asked(source.dataset, source.options, source.classes)
    resolved = resolve_dataset(asked, (*loc, "pretrain"), problems)
    if resolved is None:
        return None
    data, found = resolved
    if source.objective == "masked" and (why := _why_not_masked(spec, facts)):
        at.add(why, "pretrain", "objective")
        return None
    lr, weight_decay = PRETRAINING[source.optimizer]
    first = PretrainSpec(
        data=data,
        backbone=BackboneRef(backbones.split_name(spec.name)[0], options, "coarse", Weights("random")),
        pipeline=pipeline(spec, facts, found.facts),
        epochs=source.epochs,
        batch_size=source.batch_size,
        optimizer=source.optimizer,
        lr=source.lr if source.lr is not None else lr,
        weight_decay=source.weight_decay if source.weight_decay is not None else weight_decay,
        shift=moved_by(source.shift, facts),
        seed=source.seed,
        objective="masked" if source.objective == "masked" else None,
        deterministic=problems.loaded.suite.engine.deterministic or None,
    )
    jobs = tuple(Job("pretrain", replace(first, seed=first.seed + repeat)) for repeat in range(num))
    label = spec.label or f"{spec.name} ({asked.label})"
    weights = Weights("pretrain", jobs[0].key)
    lesson = Lesson(asked.label, data, (*loc, "pretrain", "dataset"), source.allow_overlap)
    return ResolvedBackbone(label, spec, facts, weights, options, jobs, {}, {digest(data): found}, lesson)


def _why_not_masked(spec: BackboneSpec, facts: BackboneFacts) -> str:
    """Nothing, where its network can fill in masked tokens."""
    if facts.modality != "text":
        return (f"masked tokens are learned of texts, and {spec.name!r} takes {facts.modality} data; the strategy "
                "`rotation` learns pictures without labels")
    return "" if facts.takes.has_mask else f"the tokenizer of {spec.name!r} has no mask token"


def moved_by(shift: int, facts: BackboneFacts) -> int:
    """Pixels that training examples are moved by: none of texts and clips, so that it is in no key of theirs."""
    return shift if facts.modality == "image" else 0


def pipeline(spec: BackboneSpec, facts: BackboneFacts, data: DatasetFacts) -> Any:
    return MODALITIES[facts.modality].pipeline_for(spec, facts, data)


def resolve_strategy(
    number: int, spec: StrategySpec, unit_names: tuple[str, ...], problems: Problems
) -> list[ResolvedStrategy]:
    """One line of the suite may stand for several strategies; what is wrong with it is said once per suite."""
    loc: Loc = ("strategies", number)
    try:
        if spec.recipe is not None:
            recipe = build_inline(spec.recipe, unit_names)
            return [ResolvedStrategy(spec.recipe.name, recipe, False, spec, axis_inline(spec.recipe, len(unit_names)))]
        entry = strategies.find(spec.name)
        fixed, spans = varied.split(entry, spec.options)
        at = Place(problems, (*loc, "options"))
        options = _checked_everywhere(entry, fixed, spans, at)
        if options is None:
            return []
        first = entry.build(entry.expand(options, len(unit_names))[0], len(unit_names))
        if spec.head is not None and not first.trains:
            how = "computes" if first.solve is not None else "brings"
            problems.add((*loc, "head"), f"{spec.name!r} {how} its classifier, so it takes no head")
            return []
        found = []
        for one in entry.expand(options, len(unit_names)):
            recipe = replace(entry.build(one, len(unit_names)), stop_early=stops(spec.stop_early))
            searched = _searched(entry, one, spans)
            for name, text in varied.why_not(searched, recipe) if searched is not None else ():
                at.add(f"option {name!r} of strategy {spec.name!r} cannot be searched: {text}", name)
            # A training that may stop early is another one than those of the axis.
            axis = entry.axis(one, len(unit_names)) if spec.stop_early is None else None
            strategy = ResolvedStrategy(label_of(spec, one, spans), recipe, entry.baseline, spec, axis, varied=searched)
            found.append(_by_way(strategy, at.loc, problems))
        return found
    except OptionProblems as error:
        for option, text in error.problems:
            problems.add((*loc, "options", option) if option else (*loc, "options"), text)
        return []
    except (BenchError, ValueError) as error:
        problems.add(loc, str(error))
        return []


def _by_way(strategy: ResolvedStrategy, loc: Loc, problems: Problems) -> ResolvedStrategy:
    """The weights tell of the stages, so the recipe need not."""
    stages = []
    for number, via in enumerate(strategy.recipe.via or ()):
        place = loc if number == 0 else (*loc, "then", number - 1)
        asked = Asked(via.dataset, via.options, keys=("dataset", "dataset_options"))
        resolved = resolve_dataset(asked, place, problems)
        if resolved is not None:
            data = ResolvedDataset(datasets.short_name(via.dataset), *resolved)
            lesson = Lesson(data.label, data.ref, (*place, "dataset"), via.allow_overlap)
            stages.append(ResolvedStage(via, data, lesson))
    return replace(strategy, recipe=replace(strategy.recipe, via=None), stages=tuple(stages))


def _checked_everywhere(
    entry: StrategyEntry, fixed: dict[str, Any], spans: dict[str, Span], at: Place
) -> Options | None:
    """At the middle of what is searched, if the ends of it are allowed too; None after saying what is wrong."""
    middle = {name: span.at(0.5) for name, span in spans.items()}
    owner = f"strategy {entry.name!r}"
    found = checked_options(owner, entry.options, {**fixed, **middle}, at)
    for name, span in spans.items() if found is not None else ():
        for value in span.extremes:
            if checked_options(owner, entry.options, {**fixed, **middle, name: value}, at) is None:
                return None
    return found


def _searched(entry: StrategyEntry, options: Options, spans: dict[str, Span]) -> Varied | None:
    if not spans:
        return None
    fixed = {name: value for name, value in options.model_dump(mode="json").items() if name not in spans}
    return Varied(entry.name, fixed, tuple(sorted(spans.items())))
