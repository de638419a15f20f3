"""Where searches begin: rates that fit the optimizer, what trains, and the modality."""

from typing import Literal

from bench.spec.recipe import Family

Optimizer = Literal["sgd", "adamw"]

# The middle of a bracket's first points, by optimizer and by what trains. Measured on a residual network, a MobileNet
# and a ViT on four sets (suites/README.md). `body` with AdamW is half of what they gave: larger transformers want less.
CENTRES: dict[Optimizer, dict[Family, float]] = {
    "sgd": {"head": 0.03, "body": 0.01, "added": 0.003, "scratch": 0.1},
    "adamw": {"head": 0.006, "body": 1e-3, "added": 0.005, "scratch": 5e-4},
}
# The same of texts and sound, where most networks are transformers that learned from far more than there is here: half
# a decade above what BERT, RoBERTa and wav2vec 2.0 are tuned at (2e-5 to 5e-5: Devlin 2019, Mosbach 2021, Baevski
# 2020). With MiniLM and 1,000 labels of TREC-6 full fine-tuning was best at 1e-4 to 3e-4, LoRA at 1e-3 to 3e-3 (one
# seed). Small networks that learned little want more; a bracket goes on past its end.
OF_SEQUENCES: dict[Family, float] = {"body": 1e-4, "added": 1e-3}
REACH = 10.0  # a bracket's first points lie up to so many times above and below its centre

# The range of the samplers that keep to one, whatever trains.
RANGES: dict[Optimizer, tuple[float, float]] = {"sgd": (1e-3, 1.0), "adamw": (1e-5, 1e-2)}


def begin_of(optimizer: Optimizer, family: Family, modality: str) -> tuple[float, float]:
    """The ends of a bracket's first points."""
    centre = CENTRES[optimizer][family]
    if optimizer == "adamw" and modality != "image":
        centre = OF_SEQUENCES.get(family, centre)
    return centre / REACH, centre * REACH
