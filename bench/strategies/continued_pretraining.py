"""First learn to fill in masked tokens of the target's unlabelled texts; then fine-tune.

Paper: Gururangan et al., "Don't Stop Pretraining: Adapt Language Models to Domains and Tasks", ACL 2020 (TAPT).
People get wrong: giving the first stage a budget of its own. Both come out of one; and texts of the test split have no
place in the first. Clips are not learned from without labels: what wav2vec 2.0 was pretrained by is not built here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.catalogue import Options
from bench.spec.recipe import Phase, Recipe
from bench.strategies.entry import StrategyEntry
from bench.strategies.masked_tokens import MaskedTokens


class ContinuedOptions(Options):
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Of the step budget, for masked tokens."""


def build(options: ContinuedOptions, num_units: int) -> Recipe:
    everything = (1.0,) * num_units
    phases = (Phase(options.share, everything), Phase(1 - options.share, everything))
    return Recipe(phases=phases, anneal="each_phase", penalty=MaskedTokens())


STRATEGY = StrategyEntry(
    name="continued_pretraining",
    summary="masked tokens of the target's unlabelled texts, then fine-tuning (TAPT); not for sound",
    paper="Gururangan et al. 2020, arXiv:2004.10964",
    build=build,
    options=ContinuedOptions,
    needs=MaskedTokens.needs,
)
