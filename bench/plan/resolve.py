"""Names of a suite -> references with contents. Each function gathers problems at the place where the name stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import backbones, datasets, strategies
from bench.backbones.base import BackboneFacts
from bench.backbones.weights_file import file_sha256
from bench.catalogue import OptionProblems, Options, parse_options
from bench.datasets.base import DatasetEntry, DatasetFacts
from bench.errors import BenchError
from bench.plan.spec import BackboneRef, DataRef, Job, Pipeline, PretrainSpec, Weights
from bench.strategies.inline import build_inline
from bench.strategies.recipe import Recipe
from bench.suite.load import LoadedSuite
from bench.suite.schema import BackboneSpec, StrategySpec, Suite

Loc = tuple[str | int, ...]


@dataclass
class Problems:
    """Collects what is wrong, each with its place, so that all of it can be said at once."""

    loaded: LoadedSuite
    lines: list[str] = field(default_factory=list)

    def add(self, loc: Loc, text: str) -> None:
        self.lines.append(self.loaded.problem(loc, text))


@dataclass(frozen=True)
class ResolvedDataset:
    label: str
    ref: DataRef
    facts: DatasetFacts


@dataclass(frozen=True)
class ResolvedBackbone:
    label: str
    spec: BackboneSpec
    facts: BackboneFacts
    weights: Weights
    options: dict[str, Any]
    pretraining: Job | None
    weights_file: Path | None

    def ref(self, weights: Weights) -> BackboneRef:
        return BackboneRef(self.spec.name, self.options, self.spec.units, weights)


@dataclass(frozen=True)
class ResolvedStrategy:
    label: str
    recipe: Recipe
    baseline: bool


def checked_options(owner: str, model: type[Options], raw: dict[str, Any], at: tuple[Problems, Loc]) -> Options | None:
    """Options with defaults filled; None after saying what is wrong with them."""
    problems, loc = at
    try:
        return parse_options(owner, model, raw)
    except OptionProblems as error:
        for option, text in error.problems:
            problems.add((*loc, option) if option else loc, text)
        return None


def resolve_dataset(
    name: str, raw: dict[str, Any], loc: Loc, problems: Problems
) -> tuple[DataRef, DatasetFacts] | None:
    try:
        entry: DatasetEntry = datasets.find(name)
    except BenchError as error:
        problems.add((*loc, "name"), str(error))
        return None
    options = checked_options(f"dataset {name!r}", entry.options, raw, (problems, (*loc, "options")))
    if options is None:
        return None
    try:
        facts = entry.facts(options)
    except BenchError as error:
        problems.add(loc, str(error))
        return None
    except Exception as error:  # a third party's code, most likely about a file of the person's
        problems.add(loc, f"dataset {name!r}: {type(error).__name__}: {error}")
        return None
    ref = DataRef(name, options.model_dump(mode="json"), facts.revision, facts.num_classes)
    return ref, facts


def resolve_backbone(
    number: int, suite: Suite, facts: BackboneFacts, problems: Problems
) -> ResolvedBackbone | None:
    spec = suite.backbones[number]
    loc: Loc = ("backbones", number)
    entry = backbones.find(spec.name)
    options = dict(spec.options)
    if entry is not None:
        checked = checked_options(f"backbone {spec.name!r}", entry.options, spec.options, (problems, (*loc, "options")))
        if checked is None:
            return None
        options = checked.model_dump(mode="json")
    if facts.is_size_fixed and spec.image_size not in (None, facts.image_size):
        text = f"{spec.name!r} takes images of {facts.image_size} pixels only; build it for others with " \
               f"`options: {{img_size: {spec.image_size}}}`"
        problems.add((*loc, "image_size"), text)
    if spec.pretrain is not None:
        return _pretrained_inside(spec, options, facts, (problems, loc))
    try:
        weights, path = _outside_weights(spec, facts, problems.loaded.path.parent)
    except BenchError as error:
        problems.add((*loc, "weights"), str(error))
        return None
    origin = path.name if path is not None else weights.origin
    label = spec.label or (spec.name if weights.origin == "hub" else f"{spec.name} ({origin})")
    return ResolvedBackbone(label, spec, facts, weights, options, None, path)


def _outside_weights(spec: BackboneSpec, facts: BackboneFacts, folder: Path) -> tuple[Weights, Path | None]:
    is_timm = backbones.find(spec.name) is None
    wanted = spec.weights or ("hub" if is_timm else "random")
    if wanted == "random":
        return Weights("random"), None
    if wanted == "hub":
        if not is_timm or not facts.has_hub_weights:
            raise BenchError(
                f"{spec.name!r} has no weights on the hub; give `weights: random`, the path of a checkpoint, "
                "or `pretrain: {dataset: ...}`"
            )
        return Weights("hub", backbones.full_name(spec.name)), None
    for path in (Path(wanted).expanduser(), folder / wanted):
        if path.is_file():
            return Weights("file", file_sha256(path)), path
    raise BenchError(f"no such weights file: {wanted!r} (`hub` and `random` are the other choices)")


def _pretrained_inside(
    spec: BackboneSpec, options: dict[str, Any], facts: BackboneFacts, at: tuple[Problems, Loc]
) -> ResolvedBackbone | None:
    problems, loc = at
    source = spec.pretrain
    assert source is not None
    resolved = resolve_dataset(source.dataset, source.options, (*loc, "pretrain"), problems)
    if resolved is None:
        return None
    data, data_facts = resolved
    job = Job(
        kind="pretrain",
        spec=PretrainSpec(
            data=data,
            backbone=BackboneRef(spec.name, options, "coarse", Weights("random")),
            pipeline=pipeline(spec, facts, data_facts),
            epochs=source.epochs,
            batch_size=source.batch_size,
            lr=source.lr,
            weight_decay=source.weight_decay,
            shift=source.shift,
            seed=source.seed,
        ),
    )
    label = spec.label or f"{spec.name} ({source.dataset})"
    return ResolvedBackbone(label, spec, facts, Weights("pretrain", job.key), options, job, None)


def pipeline(spec: BackboneSpec, facts: BackboneFacts, data: DatasetFacts) -> Pipeline:
    return Pipeline(
        image_size=spec.image_size or facts.image_size or data.image_size,
        mean=spec.mean or facts.mean,
        std=spec.std or facts.std,
    )


def resolve_strategy(
    number: int, spec: StrategySpec, unit_names: tuple[str, ...], problems: Problems
) -> list[ResolvedStrategy]:
    """One line of the suite may stand for several strategies; what is wrong with it is said once per suite."""
    loc: Loc = ("strategies", number)
    try:
        if spec.recipe is not None:
            return [ResolvedStrategy(spec.recipe.name, build_inline(spec.recipe, unit_names), baseline=False)]
        entry = strategies.find(spec.name)
        options = checked_options(f"strategy {spec.name!r}", entry.options, spec.options, (problems, (*loc, "options")))
        if options is None:
            return []
        return [
            ResolvedStrategy(_label(spec.name, one), entry.build(one, len(unit_names)), entry.baseline)
            for one in entry.expand(options, len(unit_names))
        ]
    except (BenchError, ValueError) as error:
        problems.add(loc, str(error))
        return []


def _label(name: str, options: Options) -> str:
    """`freeze(upto=2)`: the options that differ from their defaults."""
    shown = [
        f"{key}={getattr(options, key)}"
        for key, field_info in type(options).model_fields.items()
        if getattr(options, key) != field_info.default
    ]
    return f"{name}({', '.join(shown)})" if shown else name
