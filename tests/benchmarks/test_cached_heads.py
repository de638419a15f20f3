"""Thirty heads on kept features: ten rates, three orders; in one matrix product each step, or one after another."""

import dataclasses

import pytest
import torch

from tests.benchmarks.arms import Arm
from tests.benchmarks.heads import Heads
from tests.benchmarks.sizes import sized
from tests.benchmarks.workshop import TRAINING

RATES = [10 ** (-3 + number / 4.5) for number in range(10)]  # 0.001 to 0.1: none diverges


@pytest.mark.parametrize(("width", "classes", "images", "steps", "target", "floor"), [
    (512, 10, 1000, sized(78, 8), 12, 5.0), (768, 100, 800, sized(375, 8), 5, 1.3),
])  # fmt: skip
def test_cached_heads(race, shop, width, classes, images, steps, target, floor):
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, (images,), generator=draw)
    centres = torch.randn(classes, width, generator=draw)
    features = (0.3 * centres[labels] + torch.randn(images, width, generator=draw)).relu()
    training = dataclasses.replace(TRAINING, steps=steps)
    heads = Heads(features.to(shop.device), labels.to(shop.device), classes, training, RATES, 3)
    arms = {"in turn": Arm(heads.in_turn), "engine": Arm(heads.together)}
    found = race.measure(arms, rounds=5, warm_up=("engine",))
    race.tell(f"30 heads {width} x {classes}", "in turn", "engine", shop.target(target, 25), floor)
    for one, other in zip(found["engine"].flatten(0, 1), found["in turn"].flatten(0, 1), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-5
    race.settle()
