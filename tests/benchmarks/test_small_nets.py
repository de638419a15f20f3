"""Many small networks: as one, in several processes, or one after another; and what the dispatcher chooses."""

import shutil

import pytest

from bench.spec.refs import BackboneRef, Weights
from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.pool import Pool
from tests.benchmarks.sizes import sized

LOW, HIGH = 1e-3, 1e-1


def jobs_of(ref, blocks, repeats, **fields):
    backbone = BackboneRef("projected_resnet", {"blocks": blocks}, "coarse", Weights("random"))
    of = workshop.recipe("scratch", 5)
    fields = {"lr_low": LOW, "lr_high": HIGH, **fields}
    return workshop.searches(workshop.spec(ref, backbone, of, repeat=r, **fields) for r in range(repeats))


class Nets:
    def __init__(self, shop, ref, jobs):
        self.shop, self.ref, self.jobs = shop, ref, jobs
        self.forms = shop.context(ref).cache / "forms"  # what a calibration found, kept as between runs of a suite

    def run(self, **engine):
        context = self.shop.context(self.ref, self.jobs, **engine)
        if self.forms.exists():
            shutil.copytree(self.forms, context.cache / "forms")
        found = workshop.run(self.jobs, context, together=True)
        if engine == {} and not self.forms.exists():
            shutil.copytree(context.cache / "forms", self.forms) if (context.cache / "forms").exists() else None
        self.shop.forget(context)
        return found


def forms_of(found):
    return sorted({(record.cost["engine"]["forms"][-1], record.cost["engine"]["replicas"]) for record in found[0]})


def check(one, other, tolerance):
    """Trials of the lower half of the rates: at high ones rounding grows with every step."""
    for row, others in zip(one, other, strict=True):
        for record, expected in list(zip(row, others, strict=True))[: len(row) // 2]:
            assert record.result["loss"] == pytest.approx(expected.result["loss"], rel=tolerance)


def test_resnet8_at_8_pixels(race, shop):
    ref = shop.blobs(8, 300)
    nets = Nets(shop, ref, jobs_of(ref, 1, 3, steps=sized(60, 4), batch_size=32))
    found = race.measure(
        {"alone": Arm(lambda: nets.run(fleet=1)), "engine": Arm(nets.run)}, rounds=3, warm_up=("engine",)
    )
    race.tell("30 ResNet-8 at 8 px", "alone", "engine", shop.target(2.5, 6), floor=2.0)
    race.benchmark.extra_info["forms"] = forms_of(found["engine"])
    check(found["engine"], found["alone"], 2e-2)
    race.settle()


def test_resnet20_at_32_pixels(race, shop):
    """The dispatcher leaves them alone; two processes in bf16 are what is left to gain."""
    ref = shop.blobs(32, sized(240, 60))
    fields = {"steps": sized(10, 2), "batch_size": sized(128, 32), "trials": 4}
    jobs = {p: jobs_of(ref, 3, 2, precision=p, **fields) for p in ("fp32", "bf16")}
    nets, pool = Nets(shop, ref, jobs["fp32"]), Pool(shop)
    try:
        pool.run(jobs["bf16"], ref)  # its processes have started, and imported what they need
        found = race.measure({
            "alone": Arm(lambda: nets.run(fleet=1)),
            "dispatched": Arm(nets.run),
            "processes fp32": Arm(lambda: pool.run(jobs["fp32"], ref)),
            "processes bf16": Arm(lambda: pool.run(jobs["bf16"], ref)),
        }, rounds=3, warm_up=("dispatched",))  # fmt: skip
    finally:
        pool.close()
    race.tell("8 ResNet-20 at 32 px", "alone", "processes bf16", shop.target(2.4, 6), floor=1.2)
    race.tell("8 ResNet-20 at 32 px", "alone", "processes fp32", None, floor=0.7)
    race.tell("8 ResNet-20 at 32 px, dispatched", "alone", "dispatched", 1.0, floor=0.9)
    race.benchmark.extra_info["forms"] = forms_of(found["dispatched"])
    check(found["processes fp32"], found["alone"], 2e-2)
    check(found["dispatched"], found["alone"], 2e-2)
    check(found["processes bf16"], found["alone"], 0.15)
    race.settle()
