"""One fine-tuning trial of ResNet-18: a loader in single precision, or images on the device in bf16."""

import pytest

from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import Trial
from tests.benchmarks.sizes import sized

RATE = 0.01


@pytest.mark.parametrize(("side", "images", "batch", "steps", "target", "floor"), [
    (64, sized(480, 48), sized(32, 16), sized(20, 3), 1.8, 0.8),  # 2 epochs of 320 images
    (sized(224, 96), sized(72, 24), sized(16, 8), sized(6, 2), 3, 0.9),  # 2 epochs of 48 images
])  # fmt: skip
def test_one_trial(race, shop, side, images, batch, steps, target, floor):
    ref = shop.blobs(side, images)
    weights = shop.resnet18(side)
    fields = {
        "trials": 1, "lr_low": RATE * 0.99, "lr_high": RATE / 0.99, "steps": steps, "batch_size": batch
    }  # fmt: skip
    jobs = {
        p: workshop.searches([workshop.spec(ref, weights, workshop.recipe("full_finetune"), precision=p, **fields)])
        for p in ("fp32", "bf16")
    }

    def engine(precision):
        context = shop.context(ref, jobs[precision])
        ((record,),) = workshop.run(jobs[precision], context)
        shop.forget(context)
        return record.result

    trial = Trial(jobs["fp32"][0].spec, shop.context(ref))
    rate = workshop.rates(trial.spec)[0]
    found = race.measure({
        "loader": Arm(lambda: trial.with_loader(rate)),
        "memory": Arm(lambda: trial.in_memory(rate)),
        "engine fp32": Arm(lambda: engine("fp32")),
        "engine bf16": Arm(lambda: engine("bf16")),
    }, rounds=3)  # fmt: skip
    race.tell(f"one trial, {side} px", "loader", "engine bf16", shop.target(target, 2), floor)
    race.tell(f"one trial, {side} px", "loader", "engine fp32", None, floor)
    race.tell(f"one trial, {side} px", "memory", "engine bf16", None, 0.5)
    workshop.assert_equal(found["engine fp32"], found["loader"], num=images // 3, tolerance=5e-3)
    workshop.assert_equal(found["engine fp32"], found["memory"], num=images // 3, tolerance=5e-3)
    assert found["engine bf16"]["loss"] == pytest.approx(found["engine fp32"]["loss"], rel=0.1)
    race.settle()
