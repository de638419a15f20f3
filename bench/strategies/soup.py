"""Fine-tune at many rates, as a search does anyway, and take the mean of the weights instead of the best ones.

Paper: Wortsman et al., "Model soups", ICML 2022.
People get wrong: calling it free where the ingredients are made for it. Here they are the trials of the search, which
is therefore not halved; where it validates by folds, the networks of all folds are in the soup, none of which has seen
all labels. BatchNorm's statistics are taken anew from the training images: those of the ingredients fit no mean. The
greedy choice takes an ingredient that leaves the mean as good as it was, as the paper's recipe does (`>=`); the
authors' code asks for better.
"""

from typing import Literal

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import StrategyEntry


class SoupOptions(Options):
    kind: Literal["uniform", "greedy"] = "greedy"
    """`uniform`: all trials. `greedy`: from the best on, each that makes the mean no worse on validation images."""


def build(options: SoupOptions, num_units: int) -> Recipe:
    return Recipe(phases=uniform([1.0] * num_units), soup=options.kind)


STRATEGY = StrategyEntry(
    name="soup",
    summary="the mean of the weights that the trials of the search ended with",
    paper="Wortsman et al. 2022, arXiv:2203.05482",
    build=build,
    options=SoupOptions,
)
