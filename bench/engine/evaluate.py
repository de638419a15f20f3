"""Scoring a split: every image counts exactly once, at any batch size."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.images import Images, prepare
from bench.plan.spec import Pipeline

BATCH = 256


@dataclass(frozen=True)
class Scored:
    correct: int
    num: int
    loss: float | None  # mean cross entropy; None where it is not finite

    @property
    def accuracy(self) -> float:
        return self.correct / self.num


@torch.no_grad()
def evaluate(module: nn.Module, images: Images, pipeline: Pipeline, batch_size: int = BATCH) -> Scored:
    """Leaves every module in the mode it was in."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    correct = 0
    loss = 0.0
    for start in range(0, len(images), batch_size):
        labels = images.labels[start : start + batch_size]
        logits = module(prepare(images.pixels[start : start + batch_size], pipeline)).float()
        correct += int((logits.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(logits, labels, reduction="sum").double())
    for each, training in modes.items():
        each.training = training
    return Scored(correct, len(images), loss / len(images) if math.isfinite(loss) else None)
