"""A rehearsal of a suite on a machine that lacks its data or weights: embedded worlds and a small network instead.

The suite gets another name, so its records and its page never meet real ones; every label, record and page says
STAND-IN. Numbers of such a run say that the suite works, and nothing about what it names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench import backbones, datasets
from bench.suite import study
from bench.suite.load import LoadedSuite
from bench.suite.recipe_schema import RecipeSpec
from bench.suite.schema import (
    BackboneSpec,
    ClassesSpec,
    DatasetSpec,
    PretrainingSpec,
    StrategySpec,
    Suite,
    TestSpec,
)
from bench.suite.search_schema import SearchSpec
from bench.suite.study_schema import TransferabilitySpec
from bench.suite.training_schema import TrainingSpec

MARK = "STAND-IN"
SUFFIX = ".stand-in"
LARGEST = 20  # labels per class
STEPS, TRIALS, REPEATS, BUDGETS = 40, 3, 3, 2  # at most: a rehearsal of hundreds of cells takes minutes
FIRST_SEED = 9000  # of its pretrainings, so that no real suite asks for the same ones


@dataclass(frozen=True)
class Embedded:
    """What stands in for data of one modality, and for networks that take it."""

    worlds: tuple[str, ...]
    source: str
    what: str  # the source, in words
    network: str
    lessons: dict[str, Any]  # how the network learns it
    side: int | None = None  # pixels that the network sees
    takes: Literal["log_mel"] | None = None  # of sound, where it is a network for pictures


EMBEDDED = {
    "image": Embedded(("near", "digits", "mid", "far"), "source", "rendered images", "small_resnet",
                      {"epochs": 4, "options": {"train_per_class": 100}}, 32),
    "text": Embedded(("sentences_near", "sentences_mid", "sentences_far"), "sentences", "written sentences",
                     "small_transformer",
                     {"epochs": 4, "options": {"train_per_class": 100}, "optimizer": "adamw", "lr": 0.003}),
    # Another seed than the target's: no two stages learn the same examples.
    "sound": Embedded(("tones",), "tones", "drawn sounds", "small_resnet",
                      {"epochs": 4, "options": {"train_per_class": 40, "seed": FIRST_SEED}}, takes="log_mel"),
}  # fmt: skip


def rehearsal(loaded: LoadedSuite, missing: Collection[str]) -> LoadedSuite:
    """`missing`: as in `Missing.what`. Data that are here stay. Networks of libraries are replaced even where they are
    here: a rehearsal takes minutes on any machine."""
    suite = loaded.suite
    told: list[str] = []
    if suite.transferability is not None:
        suite = _study(suite, suite.transferability, told)
        missing = ()
    said = {_said(spec) for spec in suite.datasets}
    taken = [_taken(spec.name, spec.takes, said) for spec in suite.backbones]
    usual = taken[0] if len(set(taken)) == 1 else "image"
    sets = tuple(_dataset(number, spec, usual, (missing, told)) for number, spec in enumerate(suite.datasets))
    networks = tuple(_backbone((number, taken[number]), spec, missing, told)
                     for number, spec in enumerate(suite.backbones))  # fmt: skip
    way = EMBEDDED[usual].worlds[-1]
    listed = tuple(_on_the_way(spec, way, missing, told) for spec in suite.strategies)
    listed = _strategies(listed, [EMBEDDED[one].network for one in dict.fromkeys(taken)], told)
    told.append(f"at most {STEPS} steps, {TRIALS} trials, {REPEATS} repeats and {BUDGETS} label budgets")
    stood_in = suite.model_copy(update={
        "name": suite.name[: 100 - len(SUFFIX)] + SUFFIX,
        "description": f"{MARK}, a rehearsal: none of what follows was measured on what the suite names. "
                       f"{suite.description}",
        "datasets": sets,
        "backbones": networks,
        "strategies": listed,
        "claims": (),  # nothing here speaks for or against them
        "training": _training(suite.training),
        "search": SearchSpec.model_validate({**suite.search.model_dump(), "trials": min(TRIALS, suite.search.trials),
                                             "scope": "cell"}),
        "repeats": min(REPEATS, suite.repeats),
    })  # fmt: skip
    return replace(loaded, suite=Suite.model_validate(stood_in.model_dump()), stand_ins=tuple(told))


def _study(suite: Suite, spec: TransferabilitySpec, told: list[str]) -> Suite:
    """Of parts of the embedded source world, with the small network."""
    use = EMBEDDED[_taken(str(spec.backbone.get("name")), spec.backbone.get("takes"), {"text"})]
    told.append(f"the study of {datasets.short_name(spec.dataset)}: halves of the embedded world {use.source}")
    pretrain = {**use.lessons, "epochs": 2, "options": {}, "seed": FIRST_SEED}
    groups = ("shapes", "textures") if spec.groups and use.source == "source" else ()
    own = spec.model_copy(update={
        "dataset": use.source, "options": {"train_per_class": 40, "test_per_class": 20}, "labels_per_class": LARGEST,
        "splits": spec.splits[:1], "groups": groups,
        "backbone": {"name": use.network, "image_size": use.side, "takes": use.takes, "pretrain": pretrain},
        "keep": "all", "reading": "last",
    })  # fmt: skip
    return Suite.model_validate({**suite.model_dump(), **study.stands_for(own), study.KEY: own.model_dump()})


def _dataset(number: int, spec: DatasetSpec, usual: str, how: tuple[Collection[str], list[str]]) -> DatasetSpec:
    """`usual`: the modality of data that do not say. `how`: what is missing, and what is told."""
    missing, told = how
    shown = spec.label or f"{datasets.short_name(spec.name)}{_part(spec.classes)}"
    if not _is_missing(spec.name, spec.options, missing):
        # Trained for less than the suite asks, on one split, because one search serves all repeats.
        own = {"label": f"{shown} ({MARK})", "test": TestSpec(resplit=False), "splits": None}
        return spec.model_copy(update=own)
    worlds = EMBEDDED[_said(spec) or usual].worlds
    world = worlds[number % len(worlds)]
    told.append(f"dataset {shown}: the embedded world {world}")
    amounts = [one if one != "full" else LARGEST for one in spec.labels_per_class] or [5, LARGEST]
    few = sorted({min(amount, LARGEST - 10 * place) for place, amount in enumerate(reversed(amounts[-BUDGETS:]))})
    label = f"{shown} ({MARK} {world})"
    return DatasetSpec(name=world, labels_per_class=tuple(few), label=label, classes=_half(spec.classes))


def _half(classes: ClassesSpec | None) -> ClassesSpec | None:
    """Of a part, what has a meaning in every set."""
    return classes if classes is not None and classes.half is not None else None


def _backbone(
    which: tuple[int, str], spec: BackboneSpec, missing: Collection[str], told: list[str]
) -> BackboneSpec:
    """`which`: its number in the suite, and its modality."""
    number, taken = which
    shown = _shown(spec)
    label = f"{shown} ({MARK})"
    use = EMBEDDED[taken]
    entry = backbones.BACKBONES.get(spec.name)
    if entry is not None and entry.found is None and spec.weights in (None, "random"):
        if spec.pretrain is None or not _is_missing(spec.pretrain.dataset, spec.pretrain.options, missing):
            return spec.model_copy(update={"label": label})
        told.append(f"backbone {shown}: pretrained on the embedded world {use.source}")
        part = _half(spec.pretrain.classes)
        source = spec.pretrain.model_copy(update={"dataset": use.source, "options": {}, "classes": part})
        return spec.model_copy(update={"label": label, "pretrain": source})
    if spec.weights == "random":
        told.append(f"backbone {shown}: {use.network} with random weights")
        return BackboneSpec(name=use.network, options={"width": 8 + 4 * number}, image_size=use.side,
                            takes=use.takes, label=label)  # fmt: skip
    told.append(f"backbone {shown}: {use.network}, pretrained here on {use.what}")
    source = PretrainingSpec(dataset=use.source, seed=FIRST_SEED + number, **use.lessons)
    return BackboneSpec(name=use.network, pretrain=source, image_size=use.side, takes=use.takes, label=label)


def _said(spec: DatasetSpec) -> str | None:
    """The modality of data, as far as a suite tells; files may hold anything."""
    if any(spec.options.get(name) is not None for name in ("text", "second")):
        return "text"
    if any(spec.options.get(name) is not None for name in ("rate", "seconds")):
        return "sound"
    entry = datasets.DATASETS.get(datasets.split_name(spec.name)[0])
    return entry.modality if entry is not None and not entry.where else None


def _taken(name: str, takes: str | None, said: Collection[str | None]) -> str:
    """The modality of a network; those of timm and torchvision take pictures. `said`: modalities of the data, which
    decide where an entry stands for encoders of texts and of sound."""
    entry = backbones.BACKBONES.get(backbones.split_name(name)[0])
    if takes or (entry is not None and entry.found is not None and "sound" in said and "text" not in said):
        return "sound"
    return entry.facts.modality if entry is not None and entry.facts.modality in EMBEDDED else "image"


def _shown(spec: BackboneSpec) -> str:
    taught = spec.pretrain
    origin = Path(spec.weights).name if spec.weights is not None else None
    if taught is not None:
        origin = f"{datasets.short_name(taught.dataset)}{_part(taught.classes)}"
    return spec.label or (spec.name if origin in (None, "hub") else f"{spec.name} ({origin})")


def _part(classes: ClassesSpec | None) -> str:
    return f" {classes.text}" if classes is not None else ""


def _is_missing(dataset: str, options: dict[str, Any], missing: Collection[str]) -> bool:
    """As `resolve.py` names what it lacks."""
    name, given = datasets.split_name(dataset)
    places = [value for value in {**given, **options}.values() if isinstance(value, str)]
    return any(f"dataset {one}" in missing for one in (name, *(f"{name}:{place}" for place in places)))


def _on_the_way(spec: StrategySpec, world: str, missing: Collection[str], told: list[str]) -> StrategySpec:
    """A strategy that learns another data set first; `world` stands in for one that is missing."""

    def stage(options: Any, place: int) -> Any:
        dataset = options.get("dataset") if isinstance(options, dict) else None  # what it is was not checked yet
        if not isinstance(dataset, str) or not _is_missing(dataset, options.get("dataset_options", {}), missing):
            return options
        told.append(f"{spec.name}'s {datasets.short_name(dataset)}: the embedded world {world}")
        # A target may be the same world, and no two stages learn the same examples.
        return {**options, "dataset": world, "dataset_options": {"seed": FIRST_SEED + place}}

    options = stage(spec.options, 0)
    if isinstance(then := options.get("then"), list):
        options = {**options, "then": [stage(one, place) for place, one in enumerate(then, 1)]}
    return spec.model_copy(update={"options": options})


def _strategies(
    specs: tuple[StrategySpec, ...], networks: Collection[str], told: list[str]
) -> tuple[StrategySpec, ...]:
    """Depths and units of other networks are not those of the ones that stand in."""
    units = [backbones.BACKBONES[name].facts.unit_names for name in networks]
    deepest = min(map(len, units)) - 2
    kept = [_shallower(spec, deepest) for spec in specs if spec.recipe is None or _fits(spec.recipe, units)]
    dropped = [spec.recipe.name for spec in specs if spec.recipe is not None and not _fits(spec.recipe, units)]
    if dropped:
        told.append(f"left out, as they name units of another network: {', '.join(dropped)}")
    return tuple(dict((spec.model_dump_json(), spec) for spec in kept).values())


def _fits(recipe: RecipeSpec, networks: Sequence[tuple[str, ...]]) -> bool:
    return all(
        set(phase.rates) <= {*units, "head", "rest", *map(str, range(-len(units), len(units)))}
        for units in networks for phase in recipe.phases
    ) and (recipe.reinit or 0) < min(map(len, networks))  # fmt: skip


def _shallower(spec: StrategySpec, deepest: int) -> StrategySpec:
    upto = spec.options.get("upto")
    if isinstance(upto, int):
        return spec.model_copy(update={"options": {**spec.options, "upto": min(upto, deepest)}})
    return spec


def _training(spec: TrainingSpec) -> TrainingSpec:
    kept = spec.model_dump(exclude={"epochs", "flops"})
    return TrainingSpec.model_validate({
        **kept, "steps": min(STEPS, spec.steps or STEPS), "batch_size": min(32, spec.batch_size), "evaluations": 1
    })  # fmt: skip
