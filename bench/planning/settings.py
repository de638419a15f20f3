"""How a cell trains and searches, from a suite's sections, every number filled in."""

import math
from dataclasses import replace

from bench.backbones.base import BackboneFacts
from bench.datasets.base import DatasetFacts
from bench.keys import digest
from bench.planning.halving import steps_taken, trials_within
from bench.planning.precision import FULL
from bench.planning.rates import RANGES, Optimizer, begin_of
from bench.planning.resolve import ResolvedBackbone
from bench.spec.job import FitSpec
from bench.spec.recipe import Recipe, Solve
from bench.spec.refs import LabelBudget, NewHead, Search, SoundChanges, TextChanges, Training
from bench.suite.schema import HeadSpec, Suite
from bench.suite.search_schema import FoldsSpec, SearchSpec
from bench.suite.training_schema import TrainingSpec

WEIGHT_DECAY: dict[Optimizer, float] = {"sgd": 5e-4, "adamw": 0.05}
AUTO_FOLDS = 3
AUTO_HOLDOUT_MINIMUM = 100  # examples; fewer choose a rate badly


def head_of(suite: Suite, own: HeadSpec | None, recipe: Recipe) -> NewHead:
    """`own`: the strategy's. Where a classifier is computed, how a head would start decides nothing."""
    spec = own or suite.head
    if recipe.solve is not None and spec.mlp is None:
        return NewHead()
    return NewHead(spec.start, spec.mlp or 0, spec.dropout)


def optimizer_of(suite: Suite, facts: BackboneFacts) -> Optimizer:
    if suite.training.optimizer != "auto":
        return suite.training.optimizer
    return "sgd" if facts.has_batchnorm else "adamw"


def steps_of(training: TrainingSpec, num_labels: int) -> int:
    """Of a recipe of the usual length."""
    if training.steps is not None:
        return training.steps
    return math.ceil(num_labels / min(training.batch_size, num_labels)) * (training.epochs or 1)


def source_examples_of(backbone: ResolvedBackbone, target: DatasetFacts) -> int | None:
    """Examples of a pretraining's data that show the target's classes. 0: there are none, or no such data, and the
    engine says so. None: not known."""
    if backbone.lesson is None:
        return 0
    source = backbone.sources[digest(backbone.lesson.data)].facts
    if not (target.classes and source.classes and source.train_sizes):
        return None
    if not set(target.classes) <= set(source.classes):
        return 0
    return sum(source.train_sizes[source.classes.index(name)] for name in target.classes)


def training_of(suite: Suite, steps: int, optimizer: Optimizer) -> Training:
    t = suite.training
    return Training(
        steps=steps,
        batch_size=t.batch_size,
        optimizer=optimizer,
        momentum=t.momentum,
        schedule=t.schedule,
        warmup=t.warmup,
        label_smoothing=t.label_smoothing,
        flip=t.augment.flip,
        shift=t.augment.shift,
        views=t.augment.views,
        evaluations=t.evaluations,
        precision=suite.engine.precision,
        crop=t.augment.crop or 0.0,
        text=TextChanges(**t.augment.text.model_dump()) if t.augment.text is not None else None,
        sound=None if t.augment.sound is None else SoundChanges(**t.augment.sound.model_dump()),
        deterministic=suite.engine.deterministic or None,
    )


def for_modality(training: Training, modality: str) -> Training:
    """Changes of other data than a network takes are in no key, nor those that change nothing."""
    if modality == "image":
        return replace(training, text=None, sound=None)
    text = training.text if modality == "text" and training.text is not None and training.text.is_random else None
    sound = training.sound if modality == "sound" and training.sound is not None and training.sound.is_random else None
    views = training.views if text is not None or sound is not None else 0
    return replace(training, flip=False, shift=0, crop=0.0, views=views, text=text, sound=sound)


def search_of(
    suite: Suite, labels: tuple[int, int], recipe: Recipe, training: Training, modality: str = "image"
) -> Search:
    """`labels`: how many there are, and of how many classes."""
    s = suite.search
    decay = suite.training.weight_decay
    low, high = _rates(s, recipe, training, modality)
    num_labels, num_classes = labels
    per_class = num_labels // num_classes
    match s.validation:
        case FoldsSpec(folds=folds):
            pass
        case "holdout":
            folds = 0
        case "auto":
            folds = 0 if num_labels * s.holdout >= AUTO_HOLDOUT_MINIMUM else min(AUTO_FOLDS, per_class)
    found = Search(
        trials=s.trials,
        sampler=s.sampler,
        pruner=s.pruner,
        first_rung=_first_rung(s.first_rung, recipe) if s.pruner == "halving" else 1.0,
        lr_low=low,
        lr_high=high,
        weight_decay=decay if decay is not None else WEIGHT_DECAY[training.optimizer],
        weight_decay_low=s.weight_decay.low if s.weight_decay else None,
        weight_decay_high=s.weight_decay.high if s.weight_decay else None,
        folds=folds,
        holdout=s.holdout,
    )
    if recipe.labels == "source":  # scored on the source's test split, so nothing is held out
        found = replace(found, folds=0, holdout=0.0)
    if recipe.soup is not None:  # its ingredients are trainings that came to their end
        found = replace(found, pruner="none", first_rung=1.0)
    if not recipe.decays:
        found = replace(found, weight_decay=0.0, weight_decay_low=None, weight_decay_high=None)
    if recipe.solve is not None:
        return _solved(found, recipe.solve)
    return found if s.budget == "trials" else _with_equal_steps(found, s, recipe, training.steps)


def _rates(search: SearchSpec, recipe: Recipe, training: Training, modality: str) -> tuple[float, float]:
    if search.lr is not None:
        low, high = search.lr.low, search.lr.high
    elif search.sampler == "bracket":
        low, high = begin_of(training.optimizer, recipe.family, modality)
    else:
        low, high = RANGES[training.optimizer]
    scale = recipe.scale_for(training.optimizer)
    return low * scale, high * scale


def _with_equal_steps(search: Search, spec: SearchSpec, recipe: Recipe, steps: int) -> Search:
    """As many trials as take the steps of `trials` ones of a strategy of one phase and the suite's own length."""
    plain = replace(
        search, trials=spec.trials, pruner=spec.pruner, first_rung=spec.first_rung if spec.pruner == "halving" else 1.0
    )
    budget = steps_taken(plain, max(1, round(steps / recipe.length)))
    return replace(search, trials=trials_within(search, steps, budget))


def _first_rung(share: float, recipe: Recipe) -> float:
    """Of the steps that follow the first phase. How a trial stands while its head alone learns, or nothing but turned
    images, says little about its rate, and the best there may be the worst at the end."""
    opening = recipe.phases[0].share if len(recipe.phases) > 1 else 0.0
    return opening + (1 - opening) * share


def undrawn(spec: FitSpec) -> FitSpec:
    """Of a checkpoint that is scored as it came. No label, repeat, seed or step determines its number, so all repeats
    and budgets share one record; its search has no trials."""
    return replace(
        spec,
        budget=LabelBudget("full"),
        training=replace(spec.training, steps=0, evaluations=0, precision=FULL.used),
        search=replace(spec.search, trials=0, pruner="none", folds=0),
        head=NewHead(),
        repeat=0,
        seed=0,
        listed=None,
    )


def _solved(search: Search, solve: Solve) -> Search:
    """As many penalties as others have rates, all from one solution, so there is nothing to sample or to halve."""
    trials = 1 if solve.low == solve.high else search.trials
    return replace(
        search, trials=trials, sampler="grid", pruner="none", first_rung=1.0,
        weight_decay=0.0, weight_decay_low=None, weight_decay_high=None,
    )  # fmt: skip
