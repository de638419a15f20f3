"""Eleven strategies, ten rates each, with and without halving: the runner's processes, or the careful loop."""

import statistics

import pytest

from bench.execute.gpus import compute_capability
from bench.planning.precision import machine_of
from bench.spec.recipe import Phase, Recipe, uniform
from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import Trial
from tests.benchmarks.pool import Pool
from tests.benchmarks.sizes import sized

RATES = sized(10, 4)
MEASURED = 3  # the rate whose trial the careful loop runs
ALL = (1.0,) * 6
RECIPES = {
    "scratch": workshop.recipe("scratch"),
    "linear probe": workshop.recipe("linear_probe"),
    "full": workshop.recipe("full_finetune"),
    **{f"freeze {depth}": workshop.recipe("freeze", upto=depth) for depth in (1, 2, 3, 4)},
    "gradual": workshop.recipe("gradual_unfreeze"),
    "discriminative": workshop.recipe("discriminative"),
    "head first": Recipe((Phase(0.5, (0, 0, 0, 0, 0, 1.0)), Phase(0.5, ALL))),
    "last stage anew": Recipe(uniform(ALL), reinit=4),
}


def suite(shop, ref, **fields):
    weights = shop.resnet18(ref.options["side"])
    return workshop.searches(workshop.spec(ref, weights, of, trials=RATES, **fields) for of in RECIPES.values())


def raced(race, shop, ref, jobs):
    """The loader's way with one rate of ten, and the engine's jobs by the name of their arm."""
    trials = [Trial(job.spec, shop.context(ref)) for job in jobs["engine fp32"]]
    rate = workshop.rates(trials[0].spec)[MEASURED]
    pool = Pool(shop)
    try:
        pool.run(jobs["engine fp32"][:1], ref)  # its processes have started
        arms = {"loader": Arm(lambda: [trial.with_loader(rate) for trial in trials], scale=RATES)}
        arms |= {name: Arm(lambda of=of: pool.run(of, ref)) for name, of in jobs.items()}
        return race.measure(arms, rounds=1)
    finally:
        pool.close()


@pytest.mark.parametrize(("side", "targets"), [(64, (3.3, 8)), (224, (5, 12))])
def test_whole_suite(race, shop, side, targets):
    """9 epochs of 96 images at 64 pixels, 4 of 16 at 224: more of it would take an hour and say nothing else."""
    ref = shop.blobs(sized(side, side // 2), sized(144 if side == 64 else 24, 36))
    fields = {"steps": sized(27 if side == 64 else 9, 3), "batch_size": sized(32 if side == 64 else 8, 8)}
    usual = machine_of(shop.on_gpu, compute_capability() if shop.on_gpu else None).precision
    jobs = {
        "engine fp32": suite(shop, ref, **fields),
        "engine": suite(shop, ref, precision=usual, **fields),
        "engine, halving": suite(shop, ref, precision=usual, pruner="halving", **fields),
    }
    found = raced(race, shop, ref, jobs)
    name = f"whole suite, {side} px"
    race.tell(name, "loader", "engine", shop.target(targets[0], 5), floor=1.6)
    race.tell(name, "loader", "engine fp32", None, floor=1.2)
    race.tell(name, "loader", "engine, halving", shop.target(targets[1], 15), floor=4.5)
    check(found, num=48 if side == 64 else 8)
    race.settle()


def check(found, num):
    """Single precision strategy by strategy; bf16 as a whole, whose rounding grows where a rate is high for one."""
    for row, plain, name in zip(found["engine fp32"], found["loader"], RECIPES, strict=True):
        assert {record.status for record in row} == {"ok"}, name
        workshop.assert_equal(row[MEASURED].result, plain, num=num, tolerance=1e-2)
    pairs = zip(found["engine"], found["loader"], strict=True)
    ratios = [row[MEASURED].result["loss"] / plain.loss for row, plain in pairs]
    assert abs(statistics.median(ratios) - 1) < 0.05, ratios
    steps = [[record.result["steps"] for record in row] for row in found["engine, halving"]]
    assert all(max(row) > min(row) for row in steps)
