"""The strategy catalogue: one file each, one line each. Third parties add theirs as entry points `bench.strategies`."""

from bench import catalogue
from bench.strategies import (
    discriminative,
    freeze,
    full_finetune,
    gradual_unfreeze,
    linear_probe,
    logistic_probe,
    prototypes,
    ridge_probe,
    scratch,
)
from bench.strategies.recipe import Phase, Recipe, StrategyEntry

STRATEGIES: dict[str, StrategyEntry] = {
    "scratch": scratch.STRATEGY,
    "linear_probe": linear_probe.STRATEGY,
    "full_finetune": full_finetune.STRATEGY,
    "freeze": freeze.STRATEGY,
    "gradual_unfreeze": gradual_unfreeze.STRATEGY,
    "discriminative": discriminative.STRATEGY,
    "ridge_probe": ridge_probe.STRATEGY,
    "logistic_probe": logistic_probe.STRATEGY,
    "prototypes": prototypes.STRATEGY,
}


def find(name: str) -> StrategyEntry:
    return catalogue.find("strategy", STRATEGIES, name)


def names() -> list[str]:
    return catalogue.names("strategy", STRATEGIES)


__all__ = ["STRATEGIES", "Phase", "Recipe", "StrategyEntry", "find", "names"]
