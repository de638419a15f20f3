"""Keep the first k units of a network and train all above them afresh: the treatments of the layer-transfer study.

Paper: Yosinski et al., "How transferable are features in deep neural networks?", NeurIPS 2014: AnB and AnB+, with the
controls BnB and BnB+ where the network was pretrained on the target's own classes, and `source: random` for theirs of
random frozen filters.
People get wrong: keeping the upper units pretrained, which `freeze` does, so that nothing can be said about where
features become specific; leaving out the control on the target's own classes, without which a loss by co-adaptation
looks like one; and letting BatchNorm's statistics move in units that are called frozen.
"""

from typing import Annotated, Literal

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Recipe, uniform
from bench.strategies.entry import Axis, StrategyEntry


class TransplantOptions(Options):
    keep: Annotated[int, Field(ge=1)] | Literal["all"]
    """How many units are taken over, counted from the stem, with their statistics; `all` makes one strategy per depth
    1 .. N-1 of N units. The head is always new."""
    tune: bool = False
    """Train the kept units too, at the same rate; else they stay frozen."""
    source: Literal["pretrained", "random"] = "pretrained"
    """`random`: keep units that never learned anything, a control."""


def expand(options: TransplantOptions, num_units: int) -> tuple[TransplantOptions, ...]:
    if options.keep != "all":
        return (options,)
    return tuple(options.model_copy(update={"keep": k}) for k in range(1, num_units))


def build(options: TransplantOptions, num_units: int) -> Recipe:
    assert options.keep != "all", "expand() comes first"
    if options.keep >= num_units:
        raise ValueError(f"keep: {options.keep} would keep the head; this backbone has {num_units} units, "
                         f"so keep is 1 .. {num_units - 1} or all")
    if options.source == "random" and options.tune:
        raise ValueError("random units that are tuned are training from scratch; leave out tune or take `scratch`")
    phases = uniform(float(options.tune or unit >= options.keep) for unit in range(num_units))
    if options.source == "random":
        return Recipe(init="random", phases=phases)
    # The head is new in any case, so that nothing more is to be said where all below it is kept.
    return Recipe(reinit=options.keep if options.keep < num_units - 1 else None, phases=phases)


def axis(options: TransplantOptions, num_units: int) -> Axis:
    assert options.keep != "all", "expand() comes first"
    kind = "random" if options.source == "random" else "tuned" if options.tune else "frozen"
    return Axis("kept", options.keep, kind)


STRATEGY = StrategyEntry(
    name="transplant",
    summary="the first k units are kept, frozen or tuned, and all above them start afresh; `keep: all` sweeps k",
    paper="Yosinski et al. 2014, arXiv:1411.1792",
    build=build,
    options=TransplantOptions,
    expand=expand,
    axis=axis,
)
