"""Start with the head alone and thaw one more unit at each equal share of the budget, from the head to the stem.

Paper: Howard, Ruder, "Universal Language Model Fine-tuning for Text Classification" (ULMFiT), ACL 2018.
People get wrong: restarting the optimizer and the schedule at each thaw. Momentum and the one annealing of the rate run
on here; a thawed unit joins at the rate that holds then.
"""

from bench.catalogue import Options
from bench.strategies.recipe import Phase, Recipe, StrategyEntry


def build(options: Options, num_units: int) -> Recipe:
    return Recipe(
        phases=tuple(
            Phase(share=1 / num_units, rates=tuple(float(unit >= num_units - thawed) for unit in range(num_units)))
            for thawed in range(1, num_units + 1)
        )
    )


STRATEGY = StrategyEntry(
    name="gradual_unfreeze",
    summary="thaws one unit more at each equal share of the budget, from the head down",
    paper="Howard & Ruder 2018, arXiv:1801.06146",
    build=build,
)
