"""One bottleneck in every layer of an encoder of texts or sound, at its end, and the head.

Paper: Pfeiffer et al., "AdapterFusion: Non-Destructive Task Composition for Transfer Learning", EACL 2021.
People get wrong: the norm. Where one stands behind the sum, the bottleneck is given the sum after that norm, and what
it makes of it joins the sum before that norm. Where norms stand before attention and MLP, it is given what the MLP puts
out. Networks of waves and OPT have both forms: the base ones of wav2vec 2.0, HuBERT and WavLM have the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.spec import spans
from bench.spec.recipe import Recipe
from bench.strategies.entry import StrategyEntry
from bench.strategies.houlsby import BehindBoth, BottleneckOptions, added
from bench.strategies.lazy import encoders


@dataclass(frozen=True, kw_only=True)
class AtTheEnd(BehindBoth):
    name: str = "pfeiffer"

    def where(self) -> encoders.Where:
        return "mlp"


def build(options: BottleneckOptions, num_units: int) -> Recipe:
    return added(AtTheEnd(width=options.width), num_units)


STRATEGY = StrategyEntry(
    name="pfeiffer",
    summary="a bottleneck at the end of each of an encoder's layers, and the head",
    paper="Pfeiffer et al. 2021, arXiv:2005.00247",
    build=build,
    options=BottleneckOptions,
    needs=AtTheEnd.needs,
    ranges={"width": spans.choices(8, 32, 64)},
)
