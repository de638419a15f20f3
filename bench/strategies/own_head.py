"""The checkpoint as it came, with its own classifier, on a data set whose classes it knows. Nothing is trained, nothing
is searched and nothing is drawn: a published accuracy is one line of a suite.

Paper: Recht et al., "Do ImageNet Classifiers Generalize to ImageNet?", ICML 2019, who evaluate models like this.
People get wrong: comparing an answer among all classes of the head with one among those of the data set. Here it is
among the data set's own, unless `among: all` says otherwise.
"""

from typing import Literal

from bench.catalogue import Options
from bench.spec.recipe import OwnHead, Recipe, head_only
from bench.strategies.entry import StrategyEntry


class OwnHeadOptions(Options):
    classes: Literal["same"] | list[str] | list[int] | None = None
    """What the rows of the head stand for. `same`: the data set's classes, in their order. Names: one for each row of
    the head. Numbers: for each class of the data set its row, counted from 0. Unset: as the weights' origin tells (the
    source of a pretraining in the suite, the ImageNet of timm and torchvision); a local file does not."""
    among: Literal["target", "all"] = "target"
    """Which classes may be answered: those of the data set, or all that the head knows."""


def build(options: OwnHeadOptions, num_units: int) -> Recipe:
    given = options.classes
    own = OwnHead((*given,) if isinstance(given, list) else given, options.among)
    return Recipe(phases=head_only(num_units), own_head=own)


STRATEGY = StrategyEntry(
    name="own_head",
    summary="the checkpoint as it came, scored by its own classifier; nothing is trained or searched",
    paper="Recht et al. 2019, arXiv:1902.10811",
    build=build,
    options=OwnHeadOptions,
    needs=("the source head", "the data set's classes in it"),
)
