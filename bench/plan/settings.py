"""How a cell trains and searches, from a suite's sections, every number filled in."""

import math
from dataclasses import replace

from bench.plan.spec import Search, Training
from bench.strategies.recipe import Recipe, Solve
from bench.suite.schema import FoldsSpec, Suite

LR_RANGE = {"sgd": (1e-3, 1.0), "adamw": (1e-5, 1e-2)}
AUTO_FOLDS = 3
AUTO_HOLDOUT_MINIMUM = 100  # images; fewer choose a rate badly


def training_of(suite: Suite, num_labels: int, recipe: Recipe) -> Training:
    t = suite.training
    batch_size = min(t.batch_size, num_labels)
    steps = t.steps if t.steps is not None else math.ceil(num_labels / batch_size) * (t.epochs or 1)
    return Training(
        steps=max(1, round(steps * recipe.length)),
        batch_size=t.batch_size,
        optimizer=t.optimizer,
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
    )


def search_of(suite: Suite, labels: tuple[int, int], recipe: Recipe) -> Search:
    """`labels`: how many there are, and of how many classes."""
    s = suite.search
    low, high = (s.lr.low, s.lr.high) if s.lr is not None else LR_RANGE[suite.training.optimizer]
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
        lr_low=low * recipe.rate_scale,
        lr_high=high * recipe.rate_scale,
        weight_decay=suite.training.weight_decay,
        weight_decay_low=s.weight_decay.low if s.weight_decay else None,
        weight_decay_high=s.weight_decay.high if s.weight_decay else None,
        folds=folds,
        holdout=s.holdout,
    )
    if recipe.soup is not None:  # its ingredients are trainings that came to their end
        found = replace(found, pruner="none", first_rung=1.0)
    if not recipe.decays:
        found = replace(found, weight_decay=0.0, weight_decay_low=None, weight_decay_high=None)
    return found if recipe.solve is None else _solved(found, recipe.solve)


def _first_rung(share: float, recipe: Recipe) -> float:
    """Of the steps that follow the first phase. How a trial stands while its head alone learns, or nothing but turned
    images, says little about its rate, and the best there may be the worst at the end."""
    opening = recipe.phases[0].share if len(recipe.phases) > 1 else 0.0
    return opening + (1 - opening) * share


def _solved(search: Search, solve: Solve) -> Search:
    """As many penalties as others have rates, all from one solution, so there is nothing to sample or to halve."""
    trials = 1 if solve.low == solve.high else search.trials
    return replace(
        search, trials=trials, sampler="grid", pruner="none", first_rung=1.0,
        weight_decay=0.0, weight_decay_low=None, weight_decay_high=None,
    )  # fmt: skip
