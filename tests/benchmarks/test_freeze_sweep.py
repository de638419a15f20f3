"""Freeze depths 0 to 5 of ResNet-18: the frozen part again in every step, or once for each image."""

import pytest

from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import Trial
from tests.benchmarks.sizes import sized

DEPTHS = range(6)
RATE = 0.01


def sweep(ref, weights, **fields):
    """One trial for each depth, at the lower end of the range, which is the only rate of a grid of one."""
    fields = {"trials": 1, "lr_low": RATE * 0.99, "lr_high": RATE / 0.99, **fields}
    return workshop.searches(
        workshop.spec(ref, weights, workshop.recipe("freeze", upto=depth), **fields) for depth in DEPTHS
    )


class Sweeps:
    def __init__(self, shop, ref, **fields):
        weights = shop.resnet18(ref.options["side"])
        self.shop, self.ref = shop, ref
        self.jobs = {p: sweep(ref, weights, precision=p, **fields) for p in ("fp32", "bf16")}
        self.trials = [Trial(job.spec, shop.context(ref)) for job in self.jobs["fp32"]]

    def engine(self, precision, partition):
        jobs = self.jobs[precision]
        context = self.shop.context(self.ref, jobs, partition=partition, fleet=1)
        found = [row[0] for row in workshop.run(jobs, context)]
        self.shop.forget(context)
        return found

    def loader(self):
        return [trial.with_loader(workshop.rates(trial.spec)[0]) for trial in self.trials]

    def check(self, found, num):
        for one, other in zip(found["kept"], found["recomputed"], strict=True):
            assert one.result["loss"] == pytest.approx(other.result["loss"], rel=1e-3)
            assert abs(one.result["score"] - other.result["score"]) <= 1.5 / num


def test_at_64_pixels(race, shop):
    sweeps = Sweeps(
        shop, shop.blobs(sized(64, 32), sized(192, 48)), steps=sized(60, 2), batch_size=32
    )  # 15 epochs of 128 images
    found = race.measure({
        "recomputed": Arm(lambda: sweeps.engine("fp32", False)),
        "kept": Arm(lambda: sweeps.engine("fp32", True)),
    }, rounds=2)  # fmt: skip
    race.tell("freeze sweep, 64 px, fp32", "recomputed", "kept", shop.target(1.3, 2), floor=0.9)
    sweeps.check(found, 64)
    race.settle()


def test_at_224_pixels(race, shop):
    """Also against a loader and the whole network in single precision."""
    sweeps = Sweeps(
        shop, shop.blobs(sized(224, 64), sized(48, 24)), steps=sized(30, 2), batch_size=sized(16, 8)
    )  # 15 epochs of 32 images
    found = race.measure({
        "loader": Arm(sweeps.loader),
        "recomputed": Arm(lambda: sweeps.engine("fp32", False)),
        "kept": Arm(lambda: sweeps.engine("fp32", True)),
        "kept bf16": Arm(lambda: sweeps.engine("bf16", True)),
    }, rounds=1)  # fmt: skip
    race.tell("freeze sweep, 224 px, fp32", "recomputed", "kept", shop.target(1.6, 2), floor=0.9)
    race.tell("freeze sweep, 224 px, naive", "loader", "kept bf16", 4, floor=1.8)
    race.tell("freeze sweep, 224 px, naive", "loader", "kept", None, floor=1.2)
    sweeps.check(found, 16)
    for one, plain in zip(found["kept"], found["loader"], strict=True):
        workshop.assert_equal(one.result, plain, num=16, tolerance=5e-3)
    for one, other in zip(found["kept bf16"], found["kept"], strict=True):
        assert abs(one.result["loss"] / other.result["loss"] - 1) < 0.1
    race.settle()
